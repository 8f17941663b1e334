-- Warrants, the people and agencies around them, and their Tasks.
--
--   person ──drafter, approver──► warrant ──► agency
--                                   │ one row a version: warrant_version
--                                   ├─ task (XID, one a run of the tap)
--                                   └─ tap_interval (when the tap was allowed)
--
-- The rules of package warrant stand here again: legal steps as rows under a
-- foreign key, four eyes as a CHECK, immutable columns as triggers. Targets stand
-- in warrant and warrant_version and nowhere else.

-- +goose Up
create table person (
  id           text        not null,
  name         text        not null,
  role         text        not null,
  cert         text        not null,
  added_by     text        not null,
  confirmed_by text,
  created_at   timestamptz not null,
  constraint person_pk primary key (id),
  constraint person_name_unique unique (name),
  constraint person_cert_unique unique (cert),
  constraint person_role_known check (role in ('drafter', 'approver', 'auditor', 'sysadmin')),
  constraint person_cert_is_sha256 check (cert ~ '^[0-9a-f]{64}$'),
  constraint person_confirmed_by_another check (confirmed_by is null or confirmed_by <> added_by),
  constraint person_not_confirmed_by_self check (confirmed_by is null or confirmed_by <> id)
);
comment on table person is 'The operator''s staff; a person acts only once confirmed by a second system administrator.';

create table agency (
  id           text        not null,
  name         text        not null,
  country      text        not null,
  recipients   text[]      not null,
  added_by     text        not null,
  confirmed_by text,
  created_at   timestamptz not null,
  constraint agency_pk primary key (id),
  constraint agency_name_unique unique (name),
  constraint agency_added_by_person foreign key (added_by) references person (id),
  constraint agency_confirmed_by_person foreign key (confirmed_by) references person (id),
  constraint agency_confirmed_by_another check (confirmed_by is null or confirmed_by <> added_by),
  constraint agency_has_recipient check (cardinality(recipients) > 0)
);
comment on table agency is 'Who receives intercepted calls; usable once confirmed by a second person.';

create table agency_user (
  agency_id text not null,
  name      text not null,
  cert      text not null,
  constraint agency_user_pk primary key (cert),
  constraint agency_user_agency foreign key (agency_id) references agency (id),
  constraint agency_user_cert_is_sha256 check (cert ~ '^[0-9a-f]{64}$')
);
comment on table agency_user is 'People of an agency, known by their certificates.';

create table warrant_step (
  from_state text not null,
  to_state   text not null,
  constraint warrant_step_pk primary key (from_state, to_state)
);
comment on table warrant_step is 'The legal steps between states; staying is legal.';
insert into warrant_step (from_state, to_state) values
  ('draft', 'draft'), ('draft', 'submitted'), ('submitted', 'approved'), ('submitted', 'rejected'), ('rejected', 'draft'),
  ('approved', 'active'), ('approved', 'revoked'), ('approved', 'expired'),
  ('active', 'suspended'), ('active', 'revoked'), ('active', 'expired'),
  ('suspended', 'active'), ('suspended', 'revoked'), ('suspended', 'expired'),
  ('expired', 'expired'), ('revoked', 'revoked'), ('expired', 'purged'), ('revoked', 'purged');

create table warrant (
  id             text        not null,
  serial         bigint      not null generated always as identity,
  version        int         not null,
  state          text        not null,
  previous_state text        not null,
  liid           text        not null,
  authority      text        not null,
  reference      text        not null,
  legal_basis    text        not null,
  agency_id      text        not null,
  targets        text[]      not null,
  scope          text        not null,
  valid_from     timestamptz not null,
  valid_until    timestamptz not null,
  notes          text        not null,
  predecessor    text,
  drafter        text        not null,
  approver       text,
  stopped_at     timestamptz,
  purge_by       text,
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  constraint warrant_pk primary key (id),
  constraint warrant_liid_unique unique (liid),
  constraint warrant_liid_form check (liid ~ '^[!-~]{1,25}$'),
  constraint warrant_agency foreign key (agency_id) references agency (id),
  constraint warrant_drafter foreign key (drafter) references person (id),
  constraint warrant_approver foreign key (approver) references person (id),
  constraint warrant_predecessor foreign key (predecessor) references warrant (id),
  constraint warrant_legal_step foreign key (previous_state, state) references warrant_step (from_state, to_state),
  constraint warrant_scope_known check (scope in ('iri', 'iri+cc')),
  constraint warrant_has_target check (cardinality(targets) between 1 and 50),
  constraint warrant_dates check (valid_until > valid_from and valid_until <= valid_from + interval '366 days'),
  constraint warrant_four_eyes check (approver is null or approver <> drafter),
  constraint warrant_approved_has_approver check (state in ('draft', 'submitted', 'rejected') or approver is not null),
  constraint warrant_stopped_has_time check ((state in ('suspended', 'expired', 'revoked', 'purged')) = (stopped_at is not null))
);
comment on table warrant is 'The newest version of each warrant.';
create index warrant_agency_serial on warrant (agency_id, serial);
create index warrant_running on warrant (state, valid_until) where state in ('approved', 'active', 'suspended');

create table warrant_version (
  warrant_id text        not null,
  version    int         not null,
  body       jsonb       not null,
  by         text        not null,
  at         timestamptz not null,
  constraint warrant_version_pk primary key (warrant_id, version),
  constraint warrant_version_of_warrant foreign key (warrant_id) references warrant (id)
);
comment on table warrant_version is 'Every version of every warrant, never overwritten.';

create table task (
  xid        uuid        not null,
  warrant_id text        not null,
  created_at timestamptz not null,
  constraint task_pk primary key (xid),
  constraint task_one_a_warrant unique (warrant_id),
  constraint task_warrant foreign key (warrant_id) references warrant (id)
);
comment on table task is 'The XID under which a warrant is tasked; made at its approval.';

create table tap_interval (
  warrant_id text        not null,
  began_at   timestamptz not null,
  ended_at   timestamptz,
  constraint tap_interval_pk primary key (warrant_id, began_at),
  constraint tap_interval_warrant foreign key (warrant_id) references warrant (id),
  constraint tap_interval_order check (ended_at is null or ended_at >= began_at)
);
comment on table tap_interval is 'When the tap of a warrant was allowed.';
create unique index tap_interval_one_open on tap_interval (warrant_id) where ended_at is null;

create table task_gateway (
  xid     uuid        not null,
  gateway text        not null,
  live    boolean     not null,
  since   timestamptz not null,
  constraint task_gateway_pk primary key (xid, gateway)
);
comment on table task_gateway is 'What each gateway last confirmed of a Task.';

create table alarm (
  id        bigint      not null generated always as identity,
  kind      text        not null,
  object    text        not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  constraint alarm_pk primary key (id)
);
comment on table alarm is 'What needs a person to look at it.';
create unique index alarm_one_open on alarm (kind, object) where closed_at is null;

create table idempotency (
  person_id  text        not null,
  key        text        not null,
  body_hash  bytea       not null,
  warrant_id text        not null,
  created_at timestamptz not null default now(),
  constraint idempotency_pk primary key (person_id, key)
);
comment on table idempotency is 'Keys of creating requests, kept at least 24 hours.';

-- +goose StatementBegin
create function warrant_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'a warrant is never deleted' using errcode = 'integrity_constraint_violation', constraint = 'warrant_never_deleted';
  end if;
  if tg_op = 'INSERT' then
    if new.state <> 'draft' or new.version <> 1 or new.approver is not null then
      raise exception 'a warrant begins as a draft' using errcode = 'integrity_constraint_violation', constraint = 'warrant_begins_as_draft';
    end if;
    new.previous_state := 'draft';
    return new;
  end if;
  new.previous_state := old.state;
  if new.version <> old.version + 1 then
    raise exception 'versions follow each other' using errcode = 'integrity_constraint_violation', constraint = 'warrant_version_follows';
  end if;
  if (new.id, new.liid, new.created_at) is distinct from (old.id, old.liid, old.created_at) and old.state not in ('draft', 'rejected') then
    raise exception 'immutable' using errcode = 'integrity_constraint_violation', constraint = 'warrant_identity_immutable';
  end if;
  if old.state not in ('draft', 'rejected') and
     (new.authority, new.reference, new.legal_basis, new.agency_id, new.targets, new.scope, new.valid_from, new.valid_until, new.notes, new.predecessor, new.drafter)
     is distinct from
     (old.authority, old.reference, old.legal_basis, old.agency_id, old.targets, old.scope, old.valid_from, old.valid_until, old.notes, old.predecessor, old.drafter) then
    raise exception 'an order is immutable once submitted' using errcode = 'integrity_constraint_violation', constraint = 'warrant_order_immutable';
  end if;
  if old.approver is not null and new.approver is distinct from old.approver then
    raise exception 'an approval is immutable' using errcode = 'integrity_constraint_violation', constraint = 'warrant_approver_immutable';
  end if;
  if new.state = 'approved' and not exists (select from agency where id = new.agency_id and confirmed_by is not null) then
    raise exception 'the agency is not confirmed' using errcode = 'integrity_constraint_violation', constraint = 'warrant_agency_confirmed';
  end if;
  if new.state = 'approved' and not exists (select from person where id = new.approver and confirmed_by is not null and role = 'approver') then
    raise exception 'the approver is not confirmed' using errcode = 'integrity_constraint_violation', constraint = 'warrant_approver_confirmed';
  end if;
  if new.state = 'purged' and old.state <> 'purged' and old.purge_by is null then
    raise exception 'a purge takes two' using errcode = 'integrity_constraint_violation', constraint = 'warrant_purge_four_eyes';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger warrant_guard before insert or update or delete on warrant for each row execute function warrant_guard();

-- +goose StatementBegin
create function never_changes() returns trigger language plpgsql as $$
begin
  raise exception 'never changed' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_never_changes';
end $$;
-- +goose StatementEnd
create trigger warrant_version_never_changes before update or delete on warrant_version for each row execute function never_changes();
create trigger task_never_changes before update or delete on task for each row execute function never_changes();
create trigger warrant_step_never_changes before insert or update or delete on warrant_step for each row execute function never_changes();

-- +goose StatementBegin
create function person_guard() returns trigger language plpgsql as $$
begin
  if (new.id, new.name, new.role, new.cert, new.added_by) is distinct from (old.id, old.name, old.role, old.cert, old.added_by)
     or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by then
    raise exception 'a person is immutable' using errcode = 'integrity_constraint_violation', constraint = 'person_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger person_guard before update on person for each row execute function person_guard();
create trigger person_never_deleted before delete on person for each row execute function never_changes();

-- +goose StatementBegin
create function agency_guard() returns trigger language plpgsql as $$
begin
  if (new.id, new.name, new.country, new.recipients, new.added_by) is distinct from (old.id, old.name, old.country, old.recipients, old.added_by)
     or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by then
    raise exception 'an agency is immutable' using errcode = 'integrity_constraint_violation', constraint = 'agency_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger agency_guard before update on agency for each row execute function agency_guard();
create trigger agency_never_deleted before delete on agency for each row execute function never_changes();
create trigger agency_user_never_changes before update or delete on agency_user for each row execute function never_changes();

-- A new user or key of an agency that is confirmed would bypass the second person.
-- +goose StatementBegin
create function agency_user_guard() returns trigger language plpgsql as $$
begin
  if exists (select from agency where id = new.agency_id and confirmed_by is not null) then
    raise exception 'an agency is immutable' using errcode = 'integrity_constraint_violation', constraint = 'agency_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger agency_user_guard before insert on agency_user for each row execute function agency_user_guard();
