-- Witnesses, and acts on the log that take two people.
--
--   audit_checkpoint ── audit_cosignature  what witnesses outside signed
--   audit_request    ── one person asks, another confirms, both on the log:
--                       unmask  whose pseudonym it is, for a limited time
--                       erase   take readable records away, once: audit_erase()
--
-- ligate_app may still not update audit_entry. audit_erase() does it as the owner, for
-- a request that two people made and that was not done yet, and nothing else.

-- +goose Up
create table audit_cosignature (
  size    bigint      not null,
  witness text        not null,
  line    bytea       not null,
  kept_at timestamptz not null,
  constraint audit_cosignature_pk primary key (size, witness)
);
comment on table audit_cosignature is 'Witnesses'' signatures of checkpoints (C2SP tlog-cosignature).';
create trigger audit_cosignature_change before update or delete on audit_cosignature for each row execute function audit_refuse_change();
create trigger audit_cosignature_truncate before truncate on audit_cosignature for each statement execute function audit_refuse_change();

create table audit_request (
  id           text        not null,
  kind         text        not null,
  pseudonym    text        not null default '',
  entries      bigint[]    not null default '{}',
  reason       text        not null,
  asked_by     text        not null,
  asked_at     timestamptz not null,
  confirmed_by text,
  confirmed_at timestamptz,
  until        timestamptz,
  done_at      timestamptz,
  constraint audit_request_pk primary key (id),
  constraint audit_request_kind_known check (kind in ('unmask', 'erase')),
  constraint audit_request_unmasks_one check (kind <> 'unmask' or pseudonym <> '' and entries = '{}'),
  constraint audit_request_erases_some check (kind <> 'erase' or pseudonym = '' and cardinality(entries) between 1 and 1000),
  constraint audit_request_reason_given check (reason <> ''),
  constraint audit_request_asked_by_person foreign key (asked_by) references person (id),
  constraint audit_request_confirmed_by_person foreign key (confirmed_by) references person (id),
  constraint audit_request_confirmed_by_another check (confirmed_by is null or confirmed_by <> asked_by),
  constraint audit_request_confirmed_whole check (num_nonnulls(confirmed_by, confirmed_at) in (0, 2)),
  constraint audit_request_until_when_confirmed check ((until is not null) = (kind = 'unmask' and confirmed_by is not null)),
  constraint audit_request_until_a_day check (until is null or until <= confirmed_at + interval '1 day'),
  constraint audit_request_done_when_confirmed check (done_at is null or kind = 'erase' and confirmed_by is not null)
);
comment on table audit_request is 'Acts on the audit log that one person asks for and another confirms.';

-- +goose StatementBegin
create function audit_request_guard() returns trigger language plpgsql as $$
declare
  asks text[] := case new.kind when 'unmask' then '{auditor}' else '{drafter,approver}' end;
  confirms text[] := case new.kind when 'unmask' then '{auditor,approver}' else '{approver}' end;
begin
  if tg_op = 'INSERT' then
    if new.confirmed_by is not null or not exists (select from person where id = new.asked_by and role = any(asks)) then
      raise exception 'one person asks' using errcode = 'integrity_constraint_violation', constraint = 'audit_request_asked_by_role';
    end if;
    return new;
  end if;
  if old.confirmed_by is null and new.confirmed_by is not null
     and not (person_active(new.confirmed_by, now()) and exists (select from person where id = new.confirmed_by and role = any(confirms))) then
    raise exception 'another person confirms' using errcode = 'integrity_constraint_violation', constraint = 'audit_request_confirmed_by_role';
  end if;
  if (new.id, new.kind, new.pseudonym, new.entries, new.reason, new.asked_by, new.asked_at)
     is distinct from (old.id, old.kind, old.pseudonym, old.entries, old.reason, old.asked_by, old.asked_at)
     or old.confirmed_by is not null and (new.confirmed_by, new.confirmed_at, new.until) is distinct from (old.confirmed_by, old.confirmed_at, old.until)
     or old.done_at is not null then
    raise exception 'a request is immutable but for its confirmation' using errcode = 'integrity_constraint_violation', constraint = 'audit_request_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger audit_request_guard before insert or update on audit_request for each row execute function audit_request_guard();
create trigger audit_request_never_deleted before delete on audit_request for each row execute function audit_refuse_change();
create trigger audit_request_never_truncated before truncate on audit_request for each statement execute function audit_refuse_change();

-- audit_erase does what a confirmed request asks for, once, and says how many records
-- are gone. The caller compares, and appends the entry in the same transaction.
-- +goose StatementBegin
create function audit_erase(request text) returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare
  wanted bigint[];
  gone bigint;
begin
  update audit_request set done_at = now()
    where id = request and kind = 'erase' and confirmed_by is not null and done_at is null returning entries into wanted;
  if not found then
    raise exception 'two people must have asked for it' using errcode = 'integrity_constraint_violation', constraint = 'audit_erase_by_two';
  end if;
  update audit_entry set record = null, salt = null, actor = '', action = '', warrant = ''
    where index = any(wanted) and record is not null and action <> 'audit.erase';
  get diagnostics gone = row_count;
  return gone;
end $$;
-- +goose StatementEnd
revoke all on function audit_erase(text) from public;
