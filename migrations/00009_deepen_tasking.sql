-- What was tapped without an order, and what became of alarms.
--
--   tap_orphan     one row a tap that was found and had no order: frozen, then removed
--   alarm          raised ──► acknowledged ──► closed   (each on the audit log)
--                       └──────────────────────┘
--   alarm_notice   an outbox: what the webhook has yet to be told, at least once
--
-- No target stands here: tap_orphan has keyed hashes, whose key is not in the database.

-- +goose Up
create table tap_orphan (
  id           bigint      not null generated always as identity,
  gateway      text        not null,
  xid          uuid        not null,
  kind         text        not null,
  media        boolean     not null,
  targets      text[]      not null,
  destinations text[]      not null,
  until_at     timestamptz,
  since_at     timestamptz,
  last_at      timestamptz,
  x2_octets    bigint      not null,
  x3_octets    bigint      not null,
  found_at     timestamptz not null,
  removed_at   timestamptz,
  constraint tap_orphan_pk primary key (id),
  constraint tap_orphan_kind_known check (kind in ('rogue', 'unlisted', 'altered', 'expired', 'unproven')),
  constraint tap_orphan_hashed_only check (array_to_string(targets, '') ~ '^[0-9a-f]*$'),
  constraint tap_orphan_order check (removed_at is null or removed_at >= found_at)
);
comment on table tap_orphan is 'Taps that were found without an order: what they were (targets as keyed hashes), where they went, since when.';
create unique index tap_orphan_one_standing on tap_orphan (gateway, xid) where removed_at is null;

-- +goose StatementBegin
create function tap_orphan_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or old.removed_at is not null
     or (new.id, new.gateway, new.xid, new.kind, new.media, new.targets, new.destinations, new.until_at, new.since_at, new.last_at, new.x2_octets, new.x3_octets, new.found_at)
     is distinct from
     (old.id, old.gateway, old.xid, old.kind, old.media, old.targets, old.destinations, old.until_at, old.since_at, old.last_at, old.x2_octets, old.x3_octets, old.found_at) then
    raise exception 'what was found stays as it was found' using errcode = 'integrity_constraint_violation', constraint = 'tap_orphan_frozen';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger tap_orphan_guard before update or delete on tap_orphan for each row execute function tap_orphan_guard();

alter table alarm
  add column token     uuid not null default gen_random_uuid(),
  add column acked_at  timestamptz,
  add column acked_by  text,
  add column ack_note  text,
  add column closed_by text,
  add column note      text,
  add constraint alarm_ack_has_person check ((acked_at is null) = (acked_by is null)),
  add constraint alarm_closed_by_person_has_note check (closed_by is null or (closed_at is not null and coalesce(note, '') <> ''));
create index alarm_by_kind on alarm (kind, id);

create table alarm_follow_up (
  kind text not null,
  constraint alarm_follow_up_pk primary key (kind)
);
comment on table alarm_follow_up is 'Kinds of alarm that only a person closes, saying what was found.';
insert into alarm_follow_up (kind) values ('rogue_tap'), ('altered_tap'), ('expired_tap'), ('unproven_warrant'), ('rogue_destination');
create trigger alarm_follow_up_never_changes before insert or update or delete on alarm_follow_up for each row execute function never_changes();

-- +goose StatementBegin
create function alarm_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'an alarm is never deleted' using errcode = 'integrity_constraint_violation', constraint = 'alarm_never_deleted';
  end if;
  if (new.id, new.kind, new.object, new.opened_at, new.token) is distinct from (old.id, old.kind, old.object, old.opened_at, old.token)
     or old.closed_at is not null
     or old.acked_at is not null and (new.acked_at, new.acked_by, new.ack_note) is distinct from (old.acked_at, old.acked_by, old.ack_note) then
    raise exception 'an alarm only goes on' using errcode = 'integrity_constraint_violation', constraint = 'alarm_only_goes_on';
  end if;
  if new.closed_at is not null and new.closed_by is null and exists (select from alarm_follow_up where kind = new.kind) then
    raise exception 'a person must say what was found' using errcode = 'integrity_constraint_violation', constraint = 'alarm_needs_person';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger alarm_guard before update or delete on alarm for each row execute function alarm_guard();

create table alarm_notice (
  id       uuid        not null default gen_random_uuid(),
  serial   bigint      not null generated always as identity,
  alarm_id bigint      not null,
  event    text        not null,
  at       timestamptz not null,
  attempts int         not null default 0,
  next_at  timestamptz not null,
  constraint alarm_notice_pk primary key (id),
  constraint alarm_notice_alarm foreign key (alarm_id) references alarm (id),
  constraint alarm_notice_event_known check (event in ('raised', 'acknowledged', 'closed'))
);
comment on table alarm_notice is 'What the webhook has yet to be told; a row goes once it was taken.';
create index alarm_notice_due on alarm_notice (next_at, serial);
