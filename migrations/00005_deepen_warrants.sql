-- The whole life of a warrant: provisional orders, narrowing, the third approval,
-- extensions, documents, legal holds, and who did each act, why and from where.
--
--   warrant ──► n warrant_version   (now with act, role, source, reason: the history)
--           ──► n warrant_document  (sealed; its hash)
--           ──► n legal_hold        (set by two, released by two)
--   protected_number                (confirmed by a second person; then a third approves)
--
-- What may change of an order after it was submitted, and nothing else:
--
--   submitted                     approver, second_approver, protected (only on)
--   approved, active, suspended   targets (only fewer), scope (only iri+cc to iri)
--   approved … revoked            provisional (only off, with the original's hash)
--   expired, revoked              purge_by, purged_by
--
-- Expand: the previous release runs on it, but cannot purge: that names two people now.

-- +goose Up
alter table warrant
  add column second_approver text,
  add column protected       boolean not null default false,
  add column provisional     boolean not null default false,
  add column original_due    timestamptz,
  add column original_sha256 bytea,
  add column original_by     text,
  add column original_at     timestamptz,
  add column purged_by       text;
alter table warrant disable trigger warrant_guard;
update warrant w set purged_by = (select v.by from warrant_version v where v.warrant_id = w.id and v.version = w.version) where state = 'purged';
alter table warrant enable trigger warrant_guard;
alter table warrant
  add constraint warrant_second_approver foreign key (second_approver) references person (id),
  add constraint warrant_original_by foreign key (original_by) references person (id),
  add constraint warrant_purge_by foreign key (purge_by) references person (id),
  add constraint warrant_purged_by foreign key (purged_by) references person (id),
  add constraint warrant_second_after_first check (second_approver is null or approver is not null),
  add constraint warrant_three_people check (second_approver is null or second_approver <> approver and second_approver <> drafter),
  add constraint warrant_protected_has_third check (not protected or state in ('draft', 'submitted', 'rejected') or second_approver is not null),
  add constraint warrant_provisional_until_original check (
    (original_due is null and not provisional and num_nonnulls(original_sha256, original_by, original_at) = 0)
    or (original_due is not null and provisional and num_nonnulls(original_sha256, original_by, original_at) = 0)
    or (original_due is not null and not provisional and num_nonnulls(original_sha256, original_by, original_at) = 3)),
  add constraint warrant_original_due_after_start check (original_due is null or original_due > valid_from),
  add constraint warrant_original_four_eyes check (original_by is null or original_by <> drafter),
  add constraint warrant_original_is_sha256 check (original_sha256 is null or length(original_sha256) = 32),
  add constraint warrant_purge_two_people check (purged_by is null or purged_by <> purge_by),
  add constraint warrant_purged_has_purger check ((state = 'purged') = (purged_by is not null));
comment on column warrant.provisional is 'Ordered provisionally, and the original has not come: what is taken is quarantined.';
comment on column warrant.protected is 'Names a protected number: a third person has to approve.';
create unique index warrant_one_successor on warrant (predecessor) where predecessor is not null and state in ('approved', 'active', 'suspended', 'expired');

alter table warrant_step disable trigger warrant_step_never_changes;
insert into warrant_step (from_state, to_state) values
  ('submitted', 'submitted'), ('approved', 'approved'), ('active', 'active'), ('suspended', 'suspended');
alter table warrant_step enable trigger warrant_step_never_changes;

alter table warrant_version
  add column act    text not null default '',
  add column role   text not null default '',
  add column source text not null default '',
  add column reason text not null default '',
  add constraint warrant_version_has_reason check (
    act not in ('reject', 'suspend', 'resume', 'revoke', 'narrow', 'lapse', 'purge.request', 'purge') or reason <> '');
comment on column warrant_version.act is 'What made this version; empty = made by a release that did not say.';
alter table warrant
  add constraint warrant_version_kept foreign key (id, version) references warrant_version (warrant_id, version) deferrable initially deferred;

-- Raises the refusal of a rule.
-- +goose StatementBegin
create function refuse(rule text) returns void language plpgsql as $$
begin
  raise exception 'refused by rule %', rule using errcode = 'integrity_constraint_violation', constraint = rule;
end $$;
-- +goose StatementEnd

-- Who makes a version must be who may: the act is what the warrant's states say, since
-- the version is kept in the transaction that changes them. "ligate" is the system.
-- +goose StatementBegin
create function warrant_version_guard() returns trigger language plpgsql as $$
declare
  w warrant;
  p person;
begin
  select * into w from warrant where id = new.warrant_id and version = new.version;
  if w.id is null then
    perform refuse('warrant_version_is_current');
  end if;
  select * into p from person where id = new."by" and confirmed_by is not null;
  if p.id is null and new."by" <> 'ligate' or p.role not in ('drafter', 'approver') then
    perform refuse('warrant_version_by_compliance');
  end if;
  if w.state in ('draft', 'submitted') and w.previous_state in ('draft', 'rejected') and new."by" <> w.drafter then
    perform refuse('warrant_drafted_by_drafter');
  end if;
  if (w.previous_state, w.state) in (('submitted', 'submitted'), ('submitted', 'approved')) and new."by" is distinct from coalesce(w.second_approver, w.approver)
     or w.state = 'purged' and new."by" is distinct from w.purged_by then
    perform refuse('warrant_version_by_who_acts');
  end if;
  if (w.previous_state, w.state) in (('submitted', 'rejected'), ('suspended', 'active')) and (p.role is distinct from 'approver' or p.id = w.drafter) then
    perform refuse('warrant_decided_by_another');
  end if;
  if (w.previous_state, w.state) = ('approved', 'active') and (new.at < w.valid_from or new.at >= w.valid_until or w.provisional and new.at >= w.original_due) then
    perform refuse('warrant_starts_inside_dates');
  end if;
  if new."by" = 'ligate' and not (w.state = 'active' and w.previous_state = 'approved'
     or w.state = 'expired' and new.at >= w.valid_until or w.state = 'revoked' and w.provisional and new.at >= w.original_due) then
    perform refuse('warrant_version_by_compliance');
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger warrant_version_guard before insert on warrant_version for each row execute function warrant_version_guard();

create table warrant_document (
  warrant_id text        not null,
  number     int         not null,
  kind       text        not null,
  sha256     bytea       not null,
  bytes      int         not null,
  pages      int,
  sealed     bytea       not null,
  added_by   text        not null,
  role       text        not null,
  source     text        not null,
  added_at   timestamptz not null,
  constraint warrant_document_pk primary key (warrant_id, number),
  constraint warrant_document_once unique (warrant_id, sha256),
  constraint warrant_document_warrant foreign key (warrant_id) references warrant (id),
  constraint warrant_document_added_by foreign key (added_by) references person (id),
  constraint warrant_document_number_from_one check (number >= 1),
  constraint warrant_document_kind_known check (kind in ('order', 'other')),
  constraint warrant_document_is_sha256 check (length(sha256) = 32),
  constraint warrant_document_size check (bytes between 1 and 20971520),
  constraint warrant_document_pages_positive check (pages is null or pages > 0),
  constraint warrant_document_is_sealed check (substring(sealed from 1 for 22) = 'age-encryption.org/v1' || chr(10)::bytea)
);
alter table warrant_document alter column sealed set storage external;
comment on table warrant_document is 'Signed orders and other papers, sealed; sha256 is of the paper itself.';
create trigger warrant_document_never_changes before update or delete on warrant_document for each row execute function never_changes();

create table legal_hold (
  id                       text        not null,
  warrant_id               text        not null,
  reason                   text        not null,
  set_by                   text        not null,
  set_at                   timestamptz not null,
  set_source               text        not null,
  confirmed_by             text,
  confirmed_at             timestamptz,
  confirmed_source         text,
  release_reason           text,
  released_by              text,
  released_at              timestamptz,
  released_source          text,
  release_confirmed_by     text,
  release_confirmed_at     timestamptz,
  release_confirmed_source text,
  constraint legal_hold_pk primary key (id),
  constraint legal_hold_warrant foreign key (warrant_id) references warrant (id),
  constraint legal_hold_set_by foreign key (set_by) references person (id),
  constraint legal_hold_confirmed_by foreign key (confirmed_by) references person (id),
  constraint legal_hold_released_by foreign key (released_by) references person (id),
  constraint legal_hold_release_confirmed_by foreign key (release_confirmed_by) references person (id),
  constraint legal_hold_set_by_two check (confirmed_by is null or confirmed_by <> set_by),
  constraint legal_hold_released_by_two check (release_confirmed_by is null or released_by is not null and release_confirmed_by <> released_by),
  constraint legal_hold_has_reason check (reason <> '' and (released_by is null or coalesce(release_reason, '') <> '')),
  constraint legal_hold_times check ((confirmed_by is null) = (confirmed_at is null) and (released_by is null) = (released_at is null)
    and (release_confirmed_by is null) = (release_confirmed_at is null))
);
comment on table legal_hold is 'What must not be purged; in force from when it is set until its release is confirmed.';
create index legal_hold_in_force on legal_hold (warrant_id) where release_confirmed_by is null;

create table protected_number (
  id                   text        not null,
  identity             text        not null,
  kind                 text        not null,
  added_by             text        not null,
  added_at             timestamptz not null,
  confirmed_by         text,
  confirmed_at         timestamptz,
  removed_by           text,
  removed_at           timestamptz,
  removal_confirmed_by text,
  removal_confirmed_at timestamptz,
  constraint protected_number_pk primary key (id),
  constraint protected_number_added_by foreign key (added_by) references person (id),
  constraint protected_number_confirmed_by foreign key (confirmed_by) references person (id),
  constraint protected_number_removed_by foreign key (removed_by) references person (id),
  constraint protected_number_removal_confirmed_by foreign key (removal_confirmed_by) references person (id),
  constraint protected_number_kind_known check (kind in ('lawyer', 'press', 'clergy', 'own', 'other')),
  constraint protected_number_confirmed_by_another check (confirmed_by is null or confirmed_by <> added_by),
  constraint protected_number_removed_by_two check (removal_confirmed_by is null or removed_by is not null and removal_confirmed_by <> removed_by),
  constraint protected_number_times check ((confirmed_by is null) = (confirmed_at is null) and (removed_by is null) = (removed_at is null)
    and (removal_confirmed_by is null) = (removal_confirmed_at is null))
);
comment on table protected_number is 'Numbers of lawyers, press, clergy and our own: once confirmed, and until the removal is, a warrant on one takes a third approval.';
create unique index protected_number_once on protected_number (identity) where removal_confirmed_by is null;

-- Rows that one person begins and others add their word to: each field is filled once.
-- +goose StatementBegin
create function only_fills() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if (select count(*) from jsonb_each(to_jsonb(new)) n
        where n.value <> 'null' and (n.key like '%confirmed%' or n.key like 'release%' or n.key like 'remov%')) > 0 then
      raise exception 'one person begins, another confirms' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_begins_alone';
    end if;
    return new;
  end if;
  if exists (select from jsonb_each(to_jsonb(old)) o join jsonb_each(to_jsonb(new)) n using (key) where o.value <> 'null' and o.value <> n.value) then
    raise exception 'immutable' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger legal_hold_only_fills before insert or update on legal_hold for each row execute function only_fills();
create trigger legal_hold_never_deleted before delete on legal_hold for each row execute function never_changes();
create trigger protected_number_only_fills before insert or update on protected_number for each row execute function only_fills();
create trigger protected_number_never_deleted before delete on protected_number for each row execute function never_changes();

-- +goose StatementBegin
create function task_guard() returns trigger language plpgsql as $$
begin
  if not exists (select from warrant where id = new.warrant_id and state = 'approved') then
    raise exception 'a task is made at approval' using errcode = 'integrity_constraint_violation', constraint = 'task_made_at_approval';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger task_guard before insert on task for each row execute function task_guard();

-- +goose StatementBegin
create function tap_interval_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if not exists (select from warrant where id = new.warrant_id and state = 'active') then
      raise exception 'nothing is tapped but under an active warrant' using errcode = 'integrity_constraint_violation', constraint = 'tap_interval_of_active_warrant';
    end if;
  elsif (new.warrant_id, new.began_at) is distinct from (old.warrant_id, old.began_at) or old.ended_at is not null then
    raise exception 'an interval only ends' using errcode = 'integrity_constraint_violation', constraint = 'tap_interval_only_ends';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger tap_interval_guard before insert or update on tap_interval for each row execute function tap_interval_guard();
create trigger tap_interval_never_deleted before delete on tap_interval for each row execute function never_changes();

create view quarantined_liid as select liid from warrant where provisional;
comment on view quarantined_liid is 'Intercepts whose original order has not come: nothing of them is handed over.';

-- What an approval needs beside the CHECKs.
-- +goose StatementBegin
create function warrant_guard_approval(old warrant, new warrant) returns void language plpgsql as $$
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
      where identity = any (new.targets) and confirmed_by is not null and removal_confirmed_by is null) then
    perform refuse('warrant_protected_has_third');
  end if;
  if exists (select from warrant p where p.id = new.predecessor and new.valid_from < p.valid_until) then
    perform refuse('warrant_extension_follows');
  end if;
end $$;
-- +goose StatementEnd

-- What may change of an order that was submitted.
-- +goose StatementBegin
create function warrant_guard_order(old warrant, new warrant, changed text[]) returns void language plpgsql as $$
begin
  if (new.id, new.serial, new.liid, new.created_at) is distinct from (old.id, old.serial, old.liid, old.created_at) then
    perform refuse('warrant_identity_immutable');
  end if;
  if changed && array['authority', 'reference', 'legal_basis', 'agency_id', 'valid_from', 'valid_until', 'notes', 'predecessor', 'drafter', 'original_due'] then
    perform refuse('warrant_order_immutable');
  end if;
  if changed && array['targets', 'scope'] then
    if old.state not in ('approved', 'active', 'suspended') then
      perform refuse('warrant_order_immutable');
    end if;
    if new.state <> old.state or not changed <@ array['targets', 'scope'] or not new.targets <@ old.targets
       or cardinality(new.targets) > cardinality(old.targets) or new.scope <> old.scope and new.scope <> 'iri' then
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

-- A purge takes two, and no hold.
-- +goose StatementBegin
create function warrant_guard_purge(old warrant, new warrant) returns void language plpgsql as $$
begin
  if new.purge_by is distinct from old.purge_by and (old.state not in ('expired', 'revoked') or new.state <> old.state) then
    perform refuse('warrant_purge_four_eyes');
  end if;
  if new.state <> 'purged' or old.state = 'purged' then
    if new.purged_by is distinct from old.purged_by then
      perform refuse('warrant_purged_has_purger');
    end if;
    return;
  end if;
  if old.purge_by is null then
    perform refuse('warrant_purge_four_eyes');
  end if;
  if not exists (select from person where id = new.purged_by and confirmed_by is not null and role = 'approver') then
    perform refuse('warrant_purged_has_purger');
  end if;
  if exists (select from legal_hold where warrant_id = new.id and release_confirmed_by is null) then
    perform refuse('warrant_purge_under_hold');
  end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function warrant_guard() returns trigger language plpgsql as $$
declare
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
