-- How an agency's monitoring facility (LEMF) is reached over HI2/HI3, and what waits
-- to go there beside the records themselves, which wait on the bus.
--
--   agency ──► n agency_delivery   (the newest confirmed one counts)
--          ──► n hi1_event         (a Task began or ended: TS 102 232-1 HI1)
--          ──► n handover_outbox   (integrity checks and reports of sealed segments)
--
-- No content stands here: an integrity check is a hash and a signature.

-- +goose Up
create table agency_delivery (
  agency_id        text        not null,
  number           int         not null,
  hi2              text        not null,
  hi3              text        not null,
  cert             text        not null,
  auth_country     text        not null,
  delivery_country text        not null,
  operator         text        not null,
  point_id         text        not null,
  frame            text        not null,
  times            text        not null,
  hash             text        not null,
  encryption       text        not null,
  confirm          text        not null,
  buffer_iri       bigint      not null,
  buffer_cc        bigint      not null,
  lag_alarm_s      int         not null,
  hi1              boolean     not null,
  file_drop        boolean     not null,
  added_by         text        not null,
  confirmed_by     text,
  created_at       timestamptz not null,
  constraint agency_delivery_pk primary key (agency_id, number),
  constraint agency_delivery_agency foreign key (agency_id) references agency (id),
  constraint agency_delivery_added_by_person foreign key (added_by) references person (id),
  constraint agency_delivery_confirmed_by_person foreign key (confirmed_by) references person (id),
  constraint agency_delivery_confirmed_by_another check (confirmed_by is null or confirmed_by <> added_by),
  constraint agency_delivery_number_from_one check (number >= 1),
  constraint agency_delivery_cert_is_sha256 check (hi2 = '' or cert ~ '^[0-9a-f]{64}$'),
  constraint agency_delivery_content_needs_signalling check (hi3 = '' or hi2 <> ''),
  constraint agency_delivery_frame_known check (frame in ('ip', 'udp', 'rtp')),
  constraint agency_delivery_times_known check (times in ('micro', 'generalized')),
  constraint agency_delivery_hash_known check (hash in ('sha256', 'sha384', 'sha512')),
  constraint agency_delivery_encryption_known check (encryption in ('', 'aes-192-cbc', 'aes-256-cbc')),
  constraint agency_delivery_confirm_known check (confirm in ('keepalive', 'pdu-ack', 'tcp')),
  constraint agency_delivery_buffers check (buffer_iri > 0 and buffer_cc > 0 and lag_alarm_s > 0)
);
comment on table agency_delivery is 'Where and how an agency''s records are pushed; the newest confirmed one counts.';

-- +goose StatementBegin
create function agency_delivery_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'confirmed_by' is distinct from to_jsonb(old) - 'confirmed_by'
     or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by then
    raise exception 'a delivery is immutable' using errcode = 'integrity_constraint_violation', constraint = 'agency_delivery_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger agency_delivery_guard before update on agency_delivery for each row execute function agency_delivery_guard();
create trigger agency_delivery_never_deleted before delete on agency_delivery for each row execute function never_changes();

create table hi1_event (
  id        bigint      not null generated always as identity,
  agency_id text        not null,
  liid      text        not null,
  what      text        not null,
  at        timestamptz not null,
  constraint hi1_event_pk primary key (id),
  constraint hi1_event_agency foreign key (agency_id) references agency (id),
  constraint hi1_event_what_known check (what in ('activated', 'deactivated', 'modified'))
);
comment on table hi1_event is 'What an agency is to be told of its warrants; gone once it is on the bus.';

create table handover_outbox (
  id        bigint      not null generated always as identity,
  agency_id text        not null,
  kind      text        not null,
  pdu       bytea       not null,
  constraint handover_outbox_pk primary key (id),
  constraint handover_outbox_agency foreign key (agency_id) references agency (id),
  constraint handover_outbox_kind_known check (kind in ('iri', 'cc')),
  constraint handover_outbox_bounded check (length(pdu) between 1 and 65536)
);
comment on table handover_outbox is 'PS-PDUs without content that a commit entails; gone once they are on the bus.';

alter table session
  add column push_checks_iri int    not null default 0,
  add column push_checks_cc  int    not null default 0,
  add column push_octets_iri bigint not null default 0,
  add column push_octets_cc  bigint not null default 0;
comment on column session.push_checks_iri is 'Integrity checks made so far; each is a hash PDU and a signature PDU.';
comment on column session.push_octets_iri is 'Octets of PS-PDUs so far: the encryption container counts them (TS 102 232-1 annex G).';
