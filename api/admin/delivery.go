package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// deliveryBody is how an agency's records are pushed, as it is sent and shown.
type deliveryBody struct {
	HI2             string `json:"hi2,omitempty" maxLength:"200" doc:"host:port of the LEMF for signalling and notifications; empty = nothing is pushed"`
	HI3             string `json:"hi3,omitempty" maxLength:"200" doc:"host:port of the LEMF for content; empty = signalling only"`
	Certificate     string `json:"certificate,omitempty" pattern:"^([0-9a-f]{64})?$" doc:"SHA-256 of the LEMF's DER certificate"`
	AuthCountry     string `json:"auth_country,omitempty" pattern:"^([A-Z]{2})?$" doc:"authorizationCountryCode; default the agency's country"`
	DeliveryCountry string `json:"delivery_country,omitempty" pattern:"^([A-Z]{2})?$" doc:"deliveryCountryCode; default the agency's country"`
	Operator        string `json:"operator,omitempty" maxLength:"16" doc:"operatorIdentifier; default operator.id of the config"`
	PointID         string `json:"point_id,omitempty" maxLength:"8" doc:"interceptionPointID"`
	Frame           string `json:"frame,omitempty" enum:"ip,udp,rtp" doc:"frameType of content; default ip"`
	Times           string `json:"times,omitempty" enum:"micro,generalized" doc:"form of time stamps; default micro"`
	Hash            string `json:"hash,omitempty" enum:"sha256,sha384,sha512" doc:"of integrity checks; default sha256"`
	Encryption      string `json:"encryption,omitempty" enum:"aes-192-cbc,aes-256-cbc" doc:"encryption container besides TLS; default none"`
	Confirm         string `json:"confirm,omitempty" enum:"keepalive,pdu-ack,tcp" doc:"when a PDU counts as delivered; default keepalive. tcp needs the agency's consent: an outage can lose what its host had"`
	BufferIRI       int64  `json:"buffer_iri,omitempty" minimum:"0" doc:"octets of signalling that may wait; default 512 MiB"`
	BufferCC        int64  `json:"buffer_cc,omitempty" minimum:"0" doc:"octets of content that may wait; default 4 GiB"`
	LagAlarm        string `json:"lag_alarm,omitempty" doc:"how late is late, such as 1m; default 1m"`
	HI1             bool   `json:"hi1,omitempty" doc:"notify activation, deactivation and alarms (HI1)"`
	FileDrop        bool   `json:"file_drop,omitempty" doc:"write capture files, sealed to the agency's keys, into mediation.drop_dir; beside hi2 and hi3 or without them"`
}

type deliveryView struct {
	deliveryBody

	Number    int       `json:"number"`
	Confirmed bool      `json:"confirmed"`
	AddedBy   string    `json:"added_by"`
	CreatedAt time.Time `json:"created_at"`
}

func viewDelivery(d warrant.Delivery) deliveryView {
	return deliveryView{
		deliveryBody: deliveryBody{
			HI2: d.HI2, HI3: d.HI3, Certificate: d.Cert, AuthCountry: d.AuthCountry, DeliveryCountry: d.DeliveryCountry, Operator: d.Operator,
			PointID: d.PointID, Frame: string(d.Frame), Times: string(d.Times), Hash: string(d.Hash), Encryption: string(d.Encryption),
			Confirm: string(d.Confirm), BufferIRI: d.BufferIRI, BufferCC: d.BufferCC, LagAlarm: d.LagAlarm.String(), HI1: d.HI1, FileDrop: d.FileDrop,
		},
		Number: d.Number, Confirmed: d.Confirmed, AddedBy: string(d.AddedBy), CreatedAt: d.CreatedAt,
	}
}

func (b deliveryBody) delivery(id string) (warrant.Delivery, error) {
	d := warrant.Delivery{
		AgencyID: warrant.AgencyID(id), HI2: b.HI2, HI3: b.HI3, Cert: b.Certificate, AuthCountry: b.AuthCountry, DeliveryCountry: b.DeliveryCountry,
		Operator: b.Operator, PointID: b.PointID, Frame: warrant.Frame(b.Frame), Times: warrant.Times(b.Times), Hash: warrant.HashName(b.Hash),
		Encryption: warrant.Encryption(b.Encryption), Confirm: warrant.Confirm(b.Confirm), BufferIRI: b.BufferIRI, BufferCC: b.BufferCC, HI1: b.HI1,
		FileDrop: b.FileDrop,
	}
	if b.LagAlarm == "" {
		return d, nil
	}
	lag, err := time.ParseDuration(b.LagAlarm)
	if err != nil {
		return d, problem.New(http.StatusUnprocessableEntity, problem.Invalid, "lag_alarm: want a duration such as 1m30s")
	}
	d.LagAlarm = lag
	return d, nil
}

type newDelivery struct {
	ID   string `path:"id" maxLength:"64"`
	Body deliveryBody
}

type deliveryInput struct {
	ID     string `path:"id" maxLength:"64"`
	Number int    `path:"number" minimum:"1" maximum:"2147483647"`
}

type deliveryOutput struct{ Body deliveryView }

type deliveriesOutput struct {
	Body struct {
		Items []deliveryView `json:"items"`
	}
}

func (h *handlers) registerDelivery(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/agencies/{id}/deliveries", "list-deliveries", "How an agency's records are pushed, newest first; the newest confirmed one counts"), h.listDeliveries)
	huma.Register(api, op(http.MethodPost, "/agencies/{id}/deliveries", "create-delivery", "Say where an agency's records are pushed (HI2/HI3); another person confirms"), h.addDelivery)
	huma.Register(api, op(http.MethodPost, "/agencies/{id}/deliveries/{number}/confirm", "confirm-delivery", "Confirm a delivery as the second person: from then on it counts"), h.confirmDelivery)
}

func (h *handlers) listDeliveries(ctx context.Context, in *idInput) (*deliveriesOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(by, "deliveries.read")); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.Deliveries(ctx, warrant.AgencyID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &deliveriesOutput{}
	out.Body.Items = make([]deliveryView, len(all))
	for i, d := range all {
		out.Body.Items[i] = viewDelivery(d)
	}
	return out, nil
}

func (h *handlers) addDelivery(ctx context.Context, in *newDelivery) (*deliveryOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	d, err := in.Body.delivery(in.ID)
	if err != nil {
		return nil, err
	}
	if d, err = h.cfg.Store.AddDelivery(ctx, by, d); err != nil {
		return nil, problem.From(err)
	}
	return &deliveryOutput{Body: viewDelivery(d)}, nil
}

func (h *handlers) confirmDelivery(ctx context.Context, in *deliveryInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.ConfirmDelivery(ctx, by, warrant.AgencyID(in.ID), in.Number))
}
