package audit

// The actor of an entry is a pseudonym that stays the same for a person:
//
//	staff         their id, a random UUID
//	agencies      AGENCY/PSEUDONYM of who acted for it; before this was so, AGENCY/NAME
//	machines      token:ID
//	the system    ligate
//
// The encoding of records is the same for both; nothing that was written is changed.
const pseudonymDigits = 16

// AgencyActor is the actor of an entry about one of an agency's people, whose
// certificate has that fingerprint.
func AgencyActor(agency, fingerprint string) string {
	return agency + "/" + Pseudonym(fingerprint)
}

// Pseudonym is that of an agency's person, by certificate.
func Pseudonym(fingerprint string) string {
	return fingerprint[:min(len(fingerprint), pseudonymDigits)]
}
