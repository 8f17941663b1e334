package hi1

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

const checksumType = "SHA-256"

// sum is the checksum of a document as we tell it.
func sum(c hi1.Contents) string {
	h := sha256.Sum256(c.Reveal())
	return hex.EncodeToString(h[:])
}

// intake is the CREATEs of one message while they are checked.
type intake struct {
	*session
	objects map[hi1.UUID]hi1.Object // of this message
	stored  map[hi1.UUID]bool       // of these, what is there already
	out     pgstore.HI1Intake
}

// create does the CREATEs of a message, all or none; it answers by action.
func (s *session) create(ctx context.Context, all []hi1.ActionRequest) (map[uint32]hi1.ActionResponse, error) {
	in := &intake{session: s, objects: map[hi1.UUID]hi1.Object{}, stored: map[hi1.UUID]bool{}}
	faults := map[uint32]*refusal{}
	for _, a := range all {
		if err := in.object(ctx, a.Create.Object); err != nil {
			faults[a.ID] = err
		}
	}
	for _, a := range all {
		task, isTask := a.Create.Object.(*hi1.Task)
		if isTask && len(faults) == 0 && !in.stored[task.ID] {
			if err := in.order(ctx, task); err != nil {
				faults[a.ID] = err
			}
		}
	}
	if len(faults) == 0 {
		if err := in.store(ctx, all, faults); err != nil {
			return nil, err
		}
	}
	return in.answers(ctx, all, faults)
}

// store hands the whole to the inbox.
func (in *intake) store(ctx context.Context, all []hi1.ActionRequest, faults map[uint32]*refusal) error {
	err := in.cfg.Store.DraftFromHI1(ctx, in.by, in.out)
	var object *pgstore.HI1ObjectError
	if !errors.As(err, &object) {
		return err
	}
	for _, a := range all {
		switch {
		case a.Create.Object.Base().ID != object.ID:
		case errors.Is(err, pgstore.ErrHI1LIID):
			faults[a.ID] = refuse(codeLIID, "Reference of the Task: another order of yours has this LIID")
		default:
			faults[a.ID] = refuse(codeContent, "ObjectIdentifier: an object of yours has it and holds something else; nothing was changed")
		}
	}
	return nil
}

func (in *intake) answers(ctx context.Context, all []hi1.ActionRequest, faults map[uint32]*refusal) (map[uint32]hi1.ActionResponse, error) {
	out := map[uint32]hi1.ActionResponse{}
	for _, a := range all {
		id := a.Create.Object.Base().ID
		if len(faults) == 0 {
			out[a.ID] = hi1.ActionResponse{ID: a.ID, Create: &hi1.Result{Identifier: id}}
			continue
		}
		fault, own := faults[a.ID]
		if !own {
			fault = refuse(codeTogether, "not done, since another CREATE of this message was refused: correct it and send all again")
		}
		answer, err := in.refused(ctx, "hi1.create", a.ID, id, fault)
		if err != nil {
			return nil, err
		}
		out[a.ID] = answer
	}
	return out, nil
}

// object checks one object by itself.
func (in *intake) object(ctx context.Context, o hi1.Object) *refusal {
	base := o.Base()
	switch {
	case in.objects[base.ID] != nil:
		return refuse(codeIncomplete, "ObjectIdentifier: stands twice in this message")
	case base.Country != "" && string(base.Country) != in.caller.Agency.Country, base.Owner != "" && base.Owner != in.caller.Agency.Name:
		return refuse(codeParties, "CountryCode, OwnerIdentifier: not those of your agency, which owns what it creates")
	case base.Generation != nil && *base.Generation != 0, !base.LastChanged.IsZero():
		return refuse(codeIncomplete, "Generation, LastChanged: the operator's to tell: leave them out")
	}
	in.objects[base.ID] = o
	if err := in.kind(o); err != nil {
		return err
	}
	_, err := in.cfg.Store.Known(ctx, in.by, base.ID)
	if err != nil && !errors.Is(err, warrant.ErrNotFound) {
		return refuse(codeInternal, "internal error: try again later")
	}
	in.stored[base.ID] = err == nil
	in.out.Objects = append(in.out.Objects, o)
	return nil
}

func (in *intake) kind(o hi1.Object) *refusal {
	const ours = "the status and its reason are the operator's to tell; the DesiredStatus is yours"
	switch v := o.(type) {
	case *hi1.Authorisation:
		if v.Status != nil || v.InvalidReason != nil || !v.ServedAt.IsZero() || !v.TerminatedAt.IsZero() {
			return refuse(codeIncomplete, "AuthorisationStatus, AuthorisationInvalidReason, times of service and termination: "+ours)
		}
		if len(v.CSPIDs) > 0 && !slices.Contains(v.CSPIDs, in.cfg.Endpoint) {
			return refuse(codeParties, "AuthorisationCSPID: names other operators only")
		}
		return wishes(v.DesiredStatus, hi1.DictAuthorisationWish, awaitingApproval, approved, "EmergencyApproval")
	case *hi1.Document:
		if v.Status != nil || v.InvalidReason != nil {
			return refuse(codeIncomplete, "DocumentStatus, DocumentInvalidReason: "+ours)
		}
		if err := wishes(v.DesiredStatus, hi1.DictDocumentWish, awaitingApproval, approved); err != nil {
			return err
		}
		return body(v.Body)
	case *hi1.Task:
		if v.Status != nil || v.InvalidReason != nil {
			return refuse(codeIncomplete, "Status, InvalidReason: "+ours)
		}
		if v.CSPID != nil && *v.CSPID != in.cfg.Endpoint {
			return refuse(codeParties, "CSPID: names another operator")
		}
		if err := wishes(v.DesiredStatus, hi1.DictTaskWish, awaitingApproval, awaitingProvisioning, active); err != nil {
			return err
		}
		return delivery(v)
	}
	return refuse(codeUnsupported, "NotificationObject: only the operator creates notifications")
}

// wishes checks what an agency wants of a new object.
func wishes(e *hi1.Entry, dictionary string, allowed ...status) *refusal {
	if e == nil {
		return nil
	}
	for _, s := range allowed {
		if e.Is(dictionary, string(s)) {
			return nil
		}
	}
	return refuse(codeIncomplete, "DesiredStatus: of a new object want a value of ETSI's dictionary "+dictionary+" that goes forward, or leave it out")
}

func body(b *hi1.Body) *refusal {
	switch {
	case b == nil || b.Contents == (hi1.Contents{}):
		return refuse(codeIncomplete, "DocumentBody: Contents are required")
	case b.ContentType == "":
		return refuse(codeIncomplete, "ContentType of the DocumentBody: required, such as application/pdf")
	case (b.Checksum == "") != (b.ChecksumType == ""):
		return refuse(codeIncomplete, "Checksum, ChecksumType of the DocumentBody: give both or neither")
	case b.Checksum != "" && (b.ChecksumType != checksumType || !strings.EqualFold(b.Checksum, sum(b.Contents))):
		return refuse(codeIncomplete, "Checksum of the DocumentBody: not the hexadecimal SHA-256 (ChecksumType SHA-256) of the Contents")
	}
	return nil
}

// delivery: records go where two people at the operator confirmed, nowhere else.
func delivery(t *hi1.Task) *refusal {
	if t.HandlingProfile != nil {
		return refuse(codeIncomplete, "HandlingProfile: none is agreed: leave it out")
	}
	for _, d := range t.Destinations {
		if d.Address != nil || d.Profile != nil || d.IRIorCC != nil {
			return refuse(codeIncomplete, "DeliveryDetails: records go to the destinations that were registered for your agency; only a HandoverFormat can be named")
		}
		if d.Handover != nil && !d.Handover.Is(hi1.DictHandoverFormat, "TS102232-5") {
			return refuse(codeIncomplete, "HandoverFormat: want ETSI's TS102232-5, or leave it out")
		}
	}
	return nil
}

// order finds what belongs to a Task and checks that a warrant could be drafted.
func (in *intake) order(ctx context.Context, t *hi1.Task) *refusal {
	o := pgstore.HI1Order{Task: t.ID, LIID: t.Reference}
	var under *hi1.Authorisation
	queue := slices.Clone(t.Associated)
	for i := 0; i < len(queue); i++ {
		found, err := in.find(ctx, queue[i])
		if err != nil {
			return err
		}
		switch v := found.(type) {
		case *hi1.Authorisation:
			if under != nil && under.ID != v.ID {
				return refuse(codeIncomplete, "AssociatedObjects of the Task: want exactly one Authorisation")
			}
			if under == nil {
				under = v
				queue = append(queue, v.Associated...)
			}
		case *hi1.Document:
			o.Documents = append(o.Documents, v.ID)
		case *hi1.Task: // another Task under the same order
		}
	}
	if under == nil {
		return refuse(codeIncomplete, "AssociatedObjects of the Task: want exactly one Authorisation")
	}
	o.Authorisation = under.ID
	in.attach(&o)
	if len(o.Documents) == 0 {
		return refuse(codeIncomplete, "AssociatedObjects: a Document with the signed order is required, since two people at the operator read it")
	}
	says, err := orderOf(in.cfg.Plan, in.caller.Agency.ID, under, t)
	if err != nil {
		return err
	}
	if err := says.Validate(in.now); err != nil {
		return ruled(err)
	}
	in.out.Orders = append(in.out.Orders, o)
	return nil
}

// attach adds the documents of this message that name the Task or its Authorisation.
func (in *intake) attach(o *pgstore.HI1Order) {
	for _, object := range in.out.Objects {
		doc, ok := object.(*hi1.Document)
		if ok && (slices.Contains(doc.Associated, o.Task) || slices.Contains(doc.Associated, o.Authorisation)) {
			o.Documents = append(o.Documents, doc.ID)
		}
	}
	slices.Sort(o.Documents)
	o.Documents = slices.Compact(o.Documents)
}

// find returns an object of this message or one that was stored before.
func (in *intake) find(ctx context.Context, id hi1.UUID) (hi1.Object, *refusal) {
	if o := in.objects[id]; o != nil {
		return o, nil
	}
	o, err := in.cfg.Store.Known(ctx, in.by, id)
	switch {
	case errors.Is(err, warrant.ErrNotFound):
		return nil, refuse(codeUnknown, "AssociatedObjects: names an object that is neither in this message nor known of you")
	case err != nil:
		return nil, refuse(codeInternal, "internal error: try again later")
	case o.Wish != "":
		return nil, refuse(codeChange, "AssociatedObjects: names an object that you cancelled")
	}
	return o.Object, nil
}

// onlyCancels reports whether an UPDATE asks for nothing but DesiredStatus Cancelled.
func onlyCancels(o hi1.Object) bool {
	base := hi1.Common{ID: o.Base().ID, Country: o.Base().Country, Owner: o.Base().Owner, Generation: o.Base().Generation}
	var bare hi1.Object
	switch o.(type) {
	case *hi1.Authorisation:
		bare = &hi1.Authorisation{Common: base, DesiredStatus: hi1.ETSI(hi1.DictAuthorisationWish, string(cancelled))}
	case *hi1.Task:
		bare = &hi1.Task{Common: base, DesiredStatus: hi1.ETSI(hi1.DictTaskWish, string(cancelled))}
	default:
		return false
	}
	return reflect.DeepEqual(bare, o)
}
