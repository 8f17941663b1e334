-- Targets sealed: the database alone names none.
--
--   sealing_key          one row: the key of all below, wrapped by the master key,
--                        which is not in the database
--   warrant              targets_hash (keyed, compared by the rules), targets_sealed
--   warrant_version      the same; body without targets
--   protected_number     identity_hash, identity_sealed
--   certification        numbers_hash, numbers_sealed; form without numbers
--   incident             unauthorised_hash, unauthorised_sealed
--   incident_act         the same
--   idempotency          body_hash is keyed; what was not is gone
--
-- The columns targets, identity and unauthorised stay for what an earlier build wrote, until
-- `ligate migrate up` or the first start has sealed it; nothing new is written there.
-- A later release drops them. The release before does not run on this schema.
--
-- Sealing old rows, and sealing anew under another key, is the owner's: the
-- application's role may do neither.

-- +goose Up
create table sealing_key (
  single     boolean     not null default true,
  id         text        not null,
  master     text        not null,
  wrapped    bytea       not null,
  created_at timestamptz not null default now(),
  wrapped_at timestamptz not null default now(),
  constraint sealing_key_pk primary key (single),
  constraint sealing_key_is_one check (single),
  constraint sealing_key_id_form check (id ~ '^[0-9a-f]{16}$' and master ~ '^[0-9a-f]{16}$')
);
comment on table sealing_key is 'The key that seals targets, wrapped by the master key named master.';

-- Whether the role may seal rows anew: whoever may change history, which is the owner.
-- +goose StatementBegin
create function may_seal() returns boolean language sql stable as $$
  select has_table_privilege(current_user, 'warrant_version', 'update')
$$;
-- +goose StatementEnd

alter table warrant
  alter column targets drop not null,
  add column targets_hash   bytea[],
  add column targets_sealed bytea,
  drop constraint warrant_has_target,
  add constraint warrant_has_target check (targets is not null or
    coalesce(cardinality(targets_hash) between 1 and 50 and array_position(targets_hash, null) is null, false)),
  add constraint warrant_targets_sealed check (targets is not null or coalesce(length(targets_sealed) > 36, false)),
  add constraint warrant_targets_not_in_clear check (targets is null) not valid;
comment on column warrant.targets_hash is 'Keyed hash of each target, in their order.';
create index warrant_target on warrant using gin (targets_hash);

alter table warrant_version
  add column targets_hash   bytea[],
  add column targets_sealed bytea,
  add constraint warrant_version_targets_not_in_clear check (not body ? 'targets') not valid;

drop index protected_number_once;
alter table protected_number
  alter column identity drop not null,
  add column identity_hash   bytea,
  add column identity_sealed bytea,
  add constraint protected_number_sealed check (identity is not null or coalesce(length(identity_hash) = 32 and length(identity_sealed) > 36, false)),
  add constraint protected_number_not_in_clear check (identity is null) not valid;
create unique index protected_number_once on protected_number (identity_hash) where removal_confirmed_by is null;

alter table certification
  add column numbers_hash   bytea[],
  add column numbers_sealed bytea,
  add constraint certification_numbers_sealed check (form ? 'numbers' or coalesce(length(numbers_sealed) > 36, false)),
  add constraint certification_numbers_not_in_clear check (not form ? 'numbers') not valid;

alter table incident
  alter column unauthorised drop not null,
  add column unauthorised_hash   bytea[],
  add column unauthorised_sealed bytea,
  add constraint incident_unauthorised_sealed check (unauthorised is not null or coalesce(length(unauthorised_sealed) > 36, false)),
  add constraint incident_unauthorised_not_in_clear check (unauthorised is null) not valid;

alter table incident_act
  alter column unauthorised drop not null,
  alter column unauthorised drop default,
  add column unauthorised_hash   bytea[],
  add column unauthorised_sealed bytea,
  drop constraint incident_closed_with_findings,
  add constraint incident_closed_with_findings check (kind <> 'close' or intrusion in ('yes', 'no') and root_cause <> '' and prevention <> ''
    and (intrusion = 'no' or coalesce(cardinality(unauthorised), cardinality(unauthorised_hash), 0) > 0)),
  add constraint incident_act_unauthorised_sealed check (unauthorised is not null or coalesce(length(unauthorised_sealed) > 36, false)),
  add constraint incident_act_unauthorised_not_in_clear check (unauthorised is null) not valid;

-- What is left of a record without how its numbers are sealed.
-- +goose StatementBegin
create function without_seal(record jsonb) returns jsonb language sql immutable as $$
  select (record - array['numbers_hash', 'numbers_sealed', 'unauthorised', 'unauthorised_hash', 'unauthorised_sealed']) #- '{form,numbers}'
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function record_never_changes() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and may_seal() and new is distinct from old and without_seal(to_jsonb(new)) = without_seal(to_jsonb(old)) then
    return new;
  end if;
  perform refuse(tg_table_name || '_never_changes');
end $$;
-- +goose StatementEnd
drop trigger certification_never_changes on certification;
drop trigger incident_never_changes on incident;
drop trigger incident_act_never_changes on incident_act;
create trigger certification_never_changes before update or delete on certification for each row execute function record_never_changes();
create trigger incident_never_changes before update or delete on incident for each row execute function record_never_changes();
create trigger incident_act_never_changes before update or delete on incident_act for each row execute function record_never_changes();

-- Hashes without a key let one test guesses. A repeated request of before makes no
-- second warrant: its LIID is taken.
delete from idempotency;

-- History never changes, but for how its targets are sealed.
-- +goose StatementBegin
create function warrant_version_never_changes() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and may_seal() and new.body = old.body - 'targets'
     and cardinality(new.targets_hash) = coalesce(cardinality(old.targets_hash), jsonb_array_length(old.body -> 'targets'))
     and to_jsonb(new) - array['body', 'targets_hash', 'targets_sealed'] = to_jsonb(old) - array['body', 'targets_hash', 'targets_sealed'] then
    return new;
  end if;
  perform refuse('warrant_version_never_changes');
end $$;
-- +goose StatementEnd
drop trigger warrant_version_never_changes on warrant_version;
create trigger warrant_version_never_changes before update or delete on warrant_version for each row execute function warrant_version_never_changes();

-- +goose StatementBegin
create or replace function only_fills() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if (select count(*) from jsonb_each(to_jsonb(new)) n
        where n.value <> 'null' and (n.key like '%confirmed%' or n.key like 'release%' or n.key like 'remov%')) > 0 then
      raise exception 'one person begins, another confirms' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_begins_alone';
    end if;
    return new;
  end if;
  if exists (select from jsonb_each(to_jsonb(old)) o join jsonb_each(to_jsonb(new)) n using (key) where o.value <> 'null' and o.value <> n.value
      and not (o.key in ('identity', 'identity_hash', 'identity_sealed') and may_seal())) then
    raise exception 'immutable' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd

-- As in 00005, on hashes. A seal changes with its hashes only.
-- +goose StatementBegin
create or replace function warrant_guard_order(old warrant, new warrant, changed text[]) returns void language plpgsql as $$
begin
  if (new.id, new.serial, new.liid, new.created_at) is distinct from (old.id, old.serial, old.liid, old.created_at) then
    perform refuse('warrant_identity_immutable');
  end if;
  if changed && array['authority', 'reference', 'legal_basis', 'agency_id', 'valid_from', 'valid_until', 'notes', 'predecessor', 'drafter', 'original_due'] then
    perform refuse('warrant_order_immutable');
  end if;
  if 'targets_sealed' = any (changed) and not 'targets_hash' = any (changed) then
    perform refuse('warrant_order_immutable');
  end if;
  if changed && array['targets', 'targets_hash', 'scope'] then
    if old.state not in ('approved', 'active', 'suspended') then
      perform refuse('warrant_order_immutable');
    end if;
    if new.state <> old.state or not changed <@ array['targets_hash', 'targets_sealed', 'scope'] or not new.targets_hash <@ old.targets_hash
       or cardinality(new.targets_hash) > cardinality(old.targets_hash) or new.scope <> old.scope and new.scope <> 'iri' then
      perform refuse('warrant_only_narrows');
    end if;
  end if;
  if changed && array['provisional', 'original_sha256', 'original_by', 'original_at'] then
    if new.state <> old.state or old.state not in ('approved', 'active', 'suspended', 'expired', 'revoked') or not old.provisional
       or not changed <@ array['provisional', 'original_sha256', 'original_by', 'original_at'] then
      perform refuse('warrant_provisional_until_original');
    end if;
    if new.original_at >= old.original_due or now() >= old.original_due then
      perform refuse('warrant_original_in_time');
    end if;
    if not exists (select from person where id = new.original_by and confirmed_by is not null and role = 'approver') then
      perform refuse('warrant_original_by_approver');
    end if;
  end if;
  if 'stopped_at' = any (changed) and (new.state = old.state or num_nonnulls(old.stopped_at, new.stopped_at) = 2) then
    perform refuse('warrant_stop_immutable');
  end if;
  if new.state = old.state and cardinality(changed) = 0 then
    perform refuse('warrant_version_changes_something');
  end if;
end $$;
-- +goose StatementEnd

-- As in 00005, on hashes.
-- +goose StatementBegin
create or replace function warrant_guard_approval(old warrant, new warrant) returns void language plpgsql as $$
begin
  if (old.approver is not null and new.approver is distinct from old.approver
      or old.second_approver is not null and new.second_approver is distinct from old.second_approver)
     and not (old.state = 'submitted' and new.state = 'rejected' and num_nonnulls(new.approver, new.second_approver) = 0) then
    perform refuse('warrant_approver_immutable');
  end if;
  if new.state in ('draft', 'rejected') and num_nonnulls(new.approver, new.second_approver) > 0
     or old.state <> 'submitted' and new.state = 'submitted' and num_nonnulls(new.approver, new.second_approver) > 0
     or old.state not in ('draft', 'submitted', 'rejected') and new.second_approver is distinct from old.second_approver then
    perform refuse('warrant_approved_when_submitted');
  end if;
  if num_nonnulls(new.approver, new.second_approver) - num_nonnulls(old.approver, old.second_approver) > 1 then
    perform refuse('warrant_one_approval_at_a_time');
  end if;
  if old.protected and not new.protected and old.state not in ('draft', 'rejected')
     or new.protected and not old.protected and old.state not in ('draft', 'rejected', 'submitted') then
    perform refuse('warrant_protected_stays');
  end if;
  if new.approver is distinct from old.approver and new.approver is not null
     and not exists (select from person where id = new.approver and confirmed_by is not null and role = 'approver')
     or new.second_approver is distinct from old.second_approver and new.second_approver is not null
     and not exists (select from person where id = new.second_approver and confirmed_by is not null and role = 'approver') then
    perform refuse('warrant_approver_confirmed');
  end if;
  if new.state <> 'approved' or old.state = 'approved' then
    return;
  end if;
  if new.approver is null then
    perform refuse('warrant_approver_confirmed');
  end if;
  if not exists (select from agency where id = new.agency_id and confirmed_by is not null) then
    perform refuse('warrant_agency_confirmed');
  end if;
  if new.second_approver is null and exists (select from protected_number
      where identity_hash = any (new.targets_hash) and confirmed_by is not null and removal_confirmed_by is null) then
    perform refuse('warrant_protected_has_third');
  end if;
  if exists (select from warrant p where p.id = new.predecessor and new.valid_from < p.valid_until) then
    perform refuse('warrant_extension_follows');
  end if;
end $$;
-- +goose StatementEnd

-- As in 00005; sealing a row anew makes no version.
-- +goose StatementBegin
create or replace function warrant_guard() returns trigger language plpgsql as $$
declare
  seal    constant text[] := array['targets', 'targets_hash', 'targets_sealed'];
  changed text[];
begin
  if tg_op = 'DELETE' then
    perform refuse('warrant_never_deleted');
  end if;
  if tg_op = 'INSERT' then
    if new.state <> 'draft' or new.version <> 1 or num_nonnulls(new.approver, new.second_approver, new.original_by, new.purge_by, new.purged_by) > 0 then
      perform refuse('warrant_begins_as_draft');
    end if;
    new.previous_state := 'draft';
    return new;
  end if;
  if may_seal() and to_jsonb(new) - seal = to_jsonb(old) - seal
     and cardinality(new.targets_hash) = coalesce(cardinality(old.targets_hash), cardinality(old.targets)) then
    return new;
  end if;
  new.previous_state := old.state;
  if new.version <> old.version + 1 then
    perform refuse('warrant_version_follows');
  end if;
  changed := array(select key from jsonb_each(to_jsonb(new)) n join jsonb_each(to_jsonb(old)) o using (key)
    where n.value <> o.value and key not in ('version', 'state', 'previous_state', 'updated_at'));
  if old.state not in ('draft', 'rejected') then
    perform warrant_guard_order(old, new, changed);
  end if;
  perform warrant_guard_approval(old, new);
  perform warrant_guard_purge(old, new);
  return new;
end $$;
-- +goose StatementEnd
