-- What was intercepted: sessions (one a CIN), their sealed segments, the agency's
-- receipts. No identity and no content stands here.
--
--   session 1 ──► n segment           (one sequence of numbers, one hash chain a session)
--           1 ──► n session_position  (what the bus may send again and is skipped)
--           1 ──► n receipt

-- +goose Up
create table session (
  id           uuid        not null,
  serial       bigint      not null generated always as identity,
  liid         text        not null,
  cin          bigint      not null,
  agency_id    text        not null,
  xid          uuid        not null,
  correlation  bytea       not null,
  started_at   timestamptz not null,
  answered_at  timestamptz,
  ended_at     timestamptz,
  closed_at    timestamptz,
  last_at      timestamptz not null,
  direction    text        not null,
  end_cause    text        not null default '',
  next_iri     bigint      not null default 0,
  next_cc      bigint      not null default 0,
  missing      bigint      not null default 0,
  tap_seq_x2   bigint      not null default -1,
  tap_seq_x3   bigint      not null default -1,
  segments     int         not null default 0,
  chain_head   bytea       not null,
  purged_at    timestamptz,
  constraint session_pk primary key (id),
  constraint session_cin_unique unique (liid, cin),
  constraint session_call_unique unique (xid, correlation),
  constraint session_liid_length check (length(liid) between 1 and 25),
  constraint session_cin_range check (cin between 1 and 4294967295),
  constraint session_correlation_octets check (length(correlation) = 8),
  constraint session_chain_is_sha256 check (length(chain_head) = 32),
  constraint session_direction_known check (direction in ('from_target', 'to_target', 'unknown')),
  constraint session_counters_positive check (next_iri >= 0 and next_cc >= 0 and missing >= 0 and segments >= 0),
  constraint session_closed_has_end check (closed_at is null or (ended_at is not null and end_cause <> ''))
);
comment on table session is 'One call of one LIID. tap_seq_* is the last sequence number of the tap that was seen; ended_at is when the call ended, closed_at when all of it had come.';
create index session_open on session (serial) where closed_at is null;

create table segment (
  session_id   uuid        not null,
  number       int         not null,
  kind         text        not null,
  first_seq    bigint      not null,
  last_seq     bigint      not null,
  first_time   timestamptz not null,
  last_time    timestamptz not null,
  bytes        bigint      not null,
  sha256       bytea       not null,
  plain_sha256 bytea       not null,
  chain        bytea       not null,
  blob_key     text        not null,
  created_at   timestamptz not null,
  constraint segment_pk primary key (session_id, number),
  constraint segment_session foreign key (session_id) references session (id),
  constraint segment_blob_unique unique (blob_key),
  constraint segment_kind_known check (kind in ('iri', 'cc')),
  constraint segment_number_from_one check (number >= 1),
  constraint segment_sequence_order check (first_seq >= 0 and last_seq >= first_seq),
  constraint segment_not_empty check (bytes > 0),
  constraint segment_hashes_are_sha256 check (length(sha256) = 32 and length(plain_sha256) = 32 and length(chain) = 32)
);
comment on table segment is 'A few seconds of one session, sealed to the agency.';
create index segment_by_kind on segment (session_id, kind, number);

create table session_position (
  session_id uuid   not null,
  bus        text   not null,
  kind       text   not null,
  position   bigint not null,
  constraint session_position_pk primary key (session_id, bus, kind),
  constraint session_position_session foreign key (session_id) references session (id),
  constraint session_position_kind_known check (kind in ('iri', 'cc')),
  constraint session_position_from_one check (position >= 1)
);
comment on table session_position is 'Up to which position of a bus a session''s records of a kind are in committed segments.';

create table receipt (
  session_id uuid        not null,
  chain_head bytea       not null,
  segments   int         not null,
  person     text        not null,
  cert       text        not null,
  at         timestamptz not null,
  constraint receipt_pk primary key (session_id, chain_head),
  constraint receipt_session foreign key (session_id) references session (id),
  constraint receipt_chain_is_sha256 check (length(chain_head) = 32)
);
comment on table receipt is 'The agency''s word that it has a session up to a chain head.';

create trigger segment_never_changes before update or delete on segment for each row execute function never_changes();
create trigger receipt_never_changes before update or delete on receipt for each row execute function never_changes();
create trigger session_never_deleted before delete on session for each row execute function never_changes();
create trigger session_position_never_deleted before delete on session_position for each row execute function never_changes();

-- Whose call it is never changes; numbers and chain only grow, by one segment at a
-- time; a closed session stays closed.
-- +goose StatementBegin
create function session_guard() returns trigger language plpgsql as $$
begin
  if (new.id, new.serial, new.liid, new.cin, new.agency_id, new.xid, new.correlation, new.started_at)
     is distinct from (old.id, old.serial, old.liid, old.cin, old.agency_id, old.xid, old.correlation, old.started_at)
     or old.closed_at is not null and (new.closed_at, new.ended_at, new.end_cause) is distinct from (old.closed_at, old.ended_at, old.end_cause)
     or old.purged_at is not null and new.purged_at is distinct from old.purged_at then
    raise exception 'a session is immutable' using errcode = 'integrity_constraint_violation', constraint = 'session_immutable';
  end if;
  if new.next_iri < old.next_iri or new.next_cc < old.next_cc or new.segments not in (old.segments, old.segments + 1)
     or (new.segments = old.segments) <> (new.chain_head = old.chain_head) then
    raise exception 'a session only grows' using errcode = 'integrity_constraint_violation', constraint = 'session_only_grows';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger session_guard before update on session for each row execute function session_guard();

-- The next number, the session's head: a segment cannot be slipped in.
-- +goose StatementBegin
create function segment_guard() returns trigger language plpgsql as $$
begin
  if new.number <> (select segments from session where id = new.session_id) + 1 then
    raise exception 'segments are consecutive' using errcode = 'integrity_constraint_violation', constraint = 'segment_consecutive';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger segment_guard before insert on segment for each row execute function segment_guard();

-- +goose StatementBegin
create function session_position_guard() returns trigger language plpgsql as $$
begin
  if (new.session_id, new.bus, new.kind) is distinct from (old.session_id, old.bus, old.kind) or new.position <= old.position then
    raise exception 'a position only moves forward' using errcode = 'integrity_constraint_violation', constraint = 'session_position_forward';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger session_position_guard before update on session_position for each row execute function session_position_guard();
