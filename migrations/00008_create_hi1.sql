-- Orders that agencies send electronically (HI1, TS 103 120), until an officer takes
-- them over. Nothing here taps anything: a warrant is made by a person.
--
--   agency ──► n hi1_object (Authorisation, Task, Document; sealed)
--                  │ one a Task
--                  ▼
--              hi1_order: received ─┬─► drafted (an officer's draft: warrant)
--                  │                ├─► rejected (with a reason)
--                  │                └─► withdrawn (by the agency)
--                  ▼ each step, and each step of the warrant
--              hi1_notification, which the agency reads in order
--
-- Target identifiers and documents stand in hi1_object.content only, sealed by a key
-- that is not in the database.

-- +goose Up
create table hi1_object (
  agency_id  text        not null,
  object_id  text        not null,
  kind       text        not null,
  content    bytea       not null,
  mac        bytea       not null,
  wish       text        not null default '',
  created_at timestamptz not null,
  changed_at timestamptz not null,
  constraint hi1_object_pk primary key (agency_id, object_id),
  constraint hi1_object_agency foreign key (agency_id) references agency (id),
  constraint hi1_object_id_is_uuid check (object_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
  constraint hi1_object_kind_known check (kind in ('Authorisation', 'Task', 'Document')),
  constraint hi1_object_wish_known check (wish in ('', 'Cancelled'))
);
comment on table hi1_object is 'What an agency sent over HI1, sealed; mac is keyed and tells same content from other.';

create table hi1_order (
  id               text        not null,
  serial           bigint      not null generated always as identity,
  agency_id        text        not null,
  task_id          text        not null,
  authorisation_id text        not null,
  liid             text        not null,
  state            text        not null,
  reason           text        not null default '',
  officer          text,
  warrant_id       text,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  constraint hi1_order_pk primary key (id),
  constraint hi1_order_one_a_task unique (agency_id, task_id),
  constraint hi1_order_one_a_warrant unique (warrant_id),
  constraint hi1_order_task foreign key (agency_id, task_id) references hi1_object (agency_id, object_id),
  constraint hi1_order_authorisation foreign key (agency_id, authorisation_id) references hi1_object (agency_id, object_id),
  constraint hi1_order_officer foreign key (officer) references person (id),
  constraint hi1_order_warrant foreign key (warrant_id) references warrant (id),
  constraint hi1_order_liid_form check (liid ~ '^[!-~]{1,25}$'),
  constraint hi1_order_state_known check (state in ('received', 'drafted', 'rejected', 'withdrawn')),
  constraint hi1_order_drafted_has_warrant check ((state = 'drafted') = (warrant_id is not null)),
  constraint hi1_order_person_decided check ((state in ('drafted', 'rejected')) = (officer is not null)),
  constraint hi1_order_rejected_has_reason check ((state = 'rejected') = (reason <> ''))
);
comment on table hi1_order is 'An order in the officers'' inbox, and the warrant that an officer drafted from it.';
create unique index hi1_order_liid_unique on hi1_order (agency_id, liid) where state in ('received', 'drafted');

create table hi1_order_document (
  order_id  text not null,
  agency_id text not null,
  object_id text not null,
  constraint hi1_order_document_pk primary key (order_id, object_id),
  constraint hi1_order_document_order foreign key (order_id) references hi1_order (id),
  constraint hi1_order_document_object foreign key (agency_id, object_id) references hi1_object (agency_id, object_id)
);
comment on table hi1_order_document is 'The documents of an order.';

create table hi1_notification (
  serial    bigint      not null generated always as identity,
  id        uuid        not null default gen_random_uuid(),
  agency_id text        not null,
  order_id  text        not null,
  state     text        not null,
  warrant   text        not null,
  stopped   timestamptz,
  until     timestamptz,
  reason    text        not null,
  at        timestamptz not null,
  constraint hi1_notification_pk primary key (serial),
  constraint hi1_notification_order foreign key (order_id) references hi1_order (id)
);
comment on table hi1_notification is 'What became of orders, in the order in which it was committed; never changed.';
create index hi1_notification_agency on hi1_notification (agency_id, serial);
create index hi1_notification_of_order on hi1_notification (order_id);

-- +goose StatementBegin
create function hi1_object_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'wish' - 'changed_at' is distinct from to_jsonb(old) - 'wish' - 'changed_at' then
    raise exception 'an object is immutable' using errcode = 'integrity_constraint_violation', constraint = 'hi1_object_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger hi1_object_guard before update on hi1_object for each row execute function hi1_object_guard();
create trigger hi1_object_never_deleted before delete on hi1_object for each row execute function never_changes();
create trigger hi1_order_document_never_changes before update or delete on hi1_order_document for each row execute function never_changes();
create trigger hi1_notification_never_changes before update or delete on hi1_notification for each row execute function never_changes();

-- +goose StatementBegin
create function hi1_order_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'received' then
      raise exception 'an order begins as received' using errcode = 'integrity_constraint_violation', constraint = 'hi1_order_begins_as_received';
    end if;
    return new;
  end if;
  if old.state <> 'received' then
    raise exception 'an order is decided once' using errcode = 'integrity_constraint_violation', constraint = 'hi1_order_decided_once';
  end if;
  if (new.id, new.agency_id, new.task_id, new.authorisation_id, new.liid, new.created_at)
     is distinct from (old.id, old.agency_id, old.task_id, old.authorisation_id, old.liid, old.created_at) then
    raise exception 'an order is immutable' using errcode = 'integrity_constraint_violation', constraint = 'hi1_order_immutable';
  end if;
  if new.state = 'drafted' and not exists (
    select from warrant w where w.id = new.warrant_id and w.agency_id = new.agency_id and w.liid = new.liid and w.drafter = new.officer and w.state = 'draft'
  ) then
    raise exception 'an order becomes a draft of its officer' using errcode = 'integrity_constraint_violation', constraint = 'hi1_order_becomes_a_draft';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger hi1_order_guard before insert or update on hi1_order for each row execute function hi1_order_guard();
create trigger hi1_order_never_deleted before delete on hi1_order for each row execute function never_changes();

-- Notifications are written as the last thing before the commit, one transaction
-- after the other: their serials stand in the order in which readers come to see them,
-- so that a reader who goes on behind a serial misses nothing.
-- +goose StatementBegin
create function hi1_order_notifies() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(119191556419889); -- "lhi1"
  insert into hi1_notification (agency_id, order_id, state, warrant, reason, at)
  values (new.agency_id, new.id, new.state, '', new.reason, new.updated_at);
  return null;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function hi1_warrant_notifies() returns trigger language plpgsql as $$
begin
  if not exists (select from hi1_order where warrant_id = new.id) then
    return null;
  end if;
  perform pg_advisory_xact_lock(119191556419889);
  insert into hi1_notification (agency_id, order_id, state, warrant, stopped, until, reason, at)
  select o.agency_id, o.id, o.state, new.state, new.stopped_at, new.valid_until, '', new.updated_at from hi1_order o where o.warrant_id = new.id;
  return null;
end $$;
-- +goose StatementEnd
create constraint trigger hi1_order_notifies after insert or update on hi1_order deferrable initially deferred
  for each row execute function hi1_order_notifies();
create constraint trigger hi1_warrant_notifies after update on warrant deferrable initially deferred
  for each row when (old.state is distinct from new.state) execute function hi1_warrant_notifies();
