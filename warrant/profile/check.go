package profile

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ligate/ligate/warrant/form"
)

// check adds the faults of meaning.
func (d *decoder) check(p *Profile) {
	d.checkSources(reflect.ValueOf(p).Elem(), "")
	d.checkHead(p)
	d.checkBases(p)
	d.checkTimes(p)
	d.checkRetention(p)
	d.checkReview(p.Review)
	d.checkForms(p)
	d.checkEmergency(p.Emergency)
}

// checkSources walks every section that has a source, whatever the sections are.
func (d *decoder) checkSources(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		if s, ok := v.Interface().(Source); ok {
			d.checkSource(s, path)
			return
		}
		for i := range v.NumField() {
			switch tag := v.Type().Field(i).Tag.Get("yaml"); tag {
			case "":
			case ",inline":
				d.checkSources(v.Field(i), path)
			default:
				d.checkSources(v.Field(i), join(path, tag))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.checkSources(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			d.checkSources(v.Elem(), path)
		}
	default: // a plain value has the source of its section
	}
}

func (d *decoder) checkSource(s Source, path string) {
	if s.Text == "" {
		d.fail(path+".source", "required: statute and section, or what it is inferred from")
	}
	switch s.Mark {
	case Read:
		if s.Read == "" {
			d.fail(path+".read", "required with mark S: where the text was read")
		}
	case Recalled, Inferred:
	default:
		d.fail(path+".mark", "want S (read), R (recalled: check before relying) or I (inferred)")
	}
}

// want notes a fault of the key unless ok.
func (d *decoder) want(ok bool, path, text string) {
	if !ok {
		d.fail(path, text)
	}
}

func (d *decoder) checkHead(p *Profile) {
	name := regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	d.want(name.MatchString(p.Name), "name", "want 1 to 32 lower-case letters, digits or hyphens")
	d.want(regexp.MustCompile(`^[A-Z]{2}$`).MatchString(p.Country), "country", "want two capitals such as DE")
	d.want(p.Title != "", "title", "required")
	d.want(p.Scope.Policy == PSTNOnly || p.Scope.Policy == WithTransit, "scope.policy", "want pstn_only or pstn_and_transit")
	zone, err := time.LoadLocation(p.Zone.Name)
	if err != nil || p.Zone.Name == "" || p.Zone.Name == "Local" {
		d.fail("zone.name", "want an IANA time zone such as Europe/Berlin")
		return
	}
	c, err := newCalendar(zone, p.WorkingDays)
	if err != nil {
		d.fail("working_days", err.Error())
		return
	}
	p.calendar = c
}

func (d *decoder) checkBases(p *Profile) {
	code := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	kinds := []Kind{IRI, IRIAndCC, Test, Urgent}
	seen := map[string]bool{}
	for i, b := range p.LegalBases {
		at := fmt.Sprintf("legal_bases[%d]", i)
		d.want(code.MatchString(b.Code), at+".code", "want 1 to 64 lower-case letters, digits or hyphens")
		d.want(!seen[b.Code], at+".code", "stands here twice")
		d.want(b.Title != "", at+".title", "required")
		d.want(b.Longest.N > 0, at+".longest", errPeriod.Error()+"; at once is no validity")
		d.want(b.Count == FromMoment || b.Count == FromDay, at+".count", "want moment or day")
		d.want(len(b.Allows) > 0, at+".allows", "want at least one of iri, iri+cc, test, emergency")
		for _, k := range b.Allows {
			d.want(slices.Contains(kinds, k), at+".allows", "want iri, iri+cc, test or emergency")
		}
		seen[b.Code] = true
		p.LegalBases[i].calendar = p.calendar
	}
	d.want(len(p.LegalBases) > 0, "legal_bases", "want at least one")
}

func (d *decoder) checkTimes(p *Profile) {
	d.want(p.Provisional.Allowed == (p.Provisional.OriginalDue.N > 0), "provisional.original_due",
		"required if provisional orders are allowed, and only then")
	d.want(p.Delivery.Mode == Store || p.Delivery.Mode == BufferOnly, "delivery.mode", "want store or buffer-only")
	d.want((p.Delivery.Mode == BufferOnly) == (p.Delivery.Buffer != nil), "delivery.buffer", "required with buffer-only, and only then")
	if b := p.Delivery.Buffer; b != nil {
		d.want(b.Longest.N > 0, "delivery.buffer.longest", errPeriod.Error()+"; at once is no buffer")
	}
	names := []string{DeadlineStart, DeadlineStartOutsideHours, DeadlineErrorReport, DeadlineConfirmation}
	seen := map[string]bool{}
	for i, dl := range p.Deadlines {
		at := fmt.Sprintf("deadlines[%d]", i)
		d.want(slices.Contains(names, dl.Name), at+".name", "want one of "+strings.Join(names, ", "))
		d.want(!seen[dl.Name], at+".name", "stands here twice")
		d.want(d.has(at+".within"), at+".within", "required: "+errPeriod.Error())
		seen[dl.Name] = true
	}
}

// has tells whether the file says anything at the path; "at once" is a zero value.
func (d *decoder) has(path string) bool { _, ok := d.lines[path]; return ok }

func (d *decoder) checkRetention(p *Profile) {
	kinds := []RecordKind{RecordLog, RecordDeletion, RecordWarrant, RecordCertification, RecordRecording, RecordReview}
	seen := map[RecordKind]bool{}
	for i, r := range p.Retention {
		at := fmt.Sprintf("retention[%d]", i)
		d.want(slices.Contains(kinds, r.Kind), at+".kind", "want log, deletion, warrant, certification, recording or review")
		d.want(!seen[r.Kind], at+".kind", "stands here twice")
		d.want(r.Rule == RuleKeep || r.Rule == RuleDelete, at+".rule", "want keep-at-least or delete-after")
		d.want(r.Duty == DutyOperator || r.Duty == DutyAgency, at+".duty", "want operator or agency")
		d.want(r.After != "", at+".after", "required: the event that the period runs from")
		d.want(r.For.N > 0, at+".for", errPeriod.Error()+"; at once is no retention")
		seen[r.Kind] = true
	}
}

func (d *decoder) checkReview(r Review) {
	d.want(r.Every == "quarter", "review.every", "want quarter")
	d.want(r.Share > 0 && r.Share <= 1, "review.share", "want a share of the entries over 0 and at most 1")
	for _, a := range r.Always {
		d.want(a == "test" || a == "suspicious", "review.always", "want test or suspicious")
	}
}

func (d *decoder) checkForms(p *Profile) {
	known := form.Names()
	listed := map[string]bool{}
	for i, f := range p.Forms {
		at := fmt.Sprintf("forms[%d].name", i)
		d.want(slices.Contains(known, f.Name), at, "want one of "+strings.Join(known, ", "))
		d.want(!listed[f.Name], at, "stands here twice")
		listed[f.Name] = true
	}
	for i, n := range p.Notices {
		at := fmt.Sprintf("notices[%d]", i)
		events := []string{"fault", "recovery", "incident"}
		d.want(slices.Contains(events, n.Event), at+".event", "want fault, recovery or incident")
		d.want(n.To != "", at+".to", "required: who is told")
		d.want(d.has(at+".within"), at+".within", "required: "+errPeriod.Error())
		d.want(listed[n.Form], at+".form", "want one of the profile's forms")
		for _, f := range n.Fields {
			d.want(slices.Contains(form.Fields(n.Form), f), at+".fields", "want fields of the form")
		}
		d.want(len(n.Fields) > 0, at+".fields", "want at least one field of the form")
	}
}

func (d *decoder) checkEmergency(e Emergency) {
	d.want(len(e.Numbers) > 0, "emergency_numbers.numbers", "want at least one")
	number := regexp.MustCompile(`^[0-9]{2,8}$`)
	for _, n := range e.Numbers {
		d.want(number.MatchString(n), "emergency_numbers.numbers", "want 2 to 8 digits each, in quotes")
	}
}
