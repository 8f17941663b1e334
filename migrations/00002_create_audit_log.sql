-- The audit log: a Merkle tree (RFC 6962) whose leaves are salted commitments.
--
--   audit_entry  one row an entry: the readable record, its salt, its commitment
--   audit_hash   the tree's stored hashes, as golang.org/x/mod/sumdb/tlog counts them
--   audit_checkpoint  signed tree heads
--
-- Nothing here is ever updated. Record and salt may once be erased by rule, and with
-- them what was taken from the record for searching (commitment and time stay); that is
-- the only change the trigger lets pass, and never on the record of an erasure. The role
-- ligate_app may not even do that: see privileges/app.sql.

-- +goose Up
create table audit_entry (
  index      bigint      not null,
  time       timestamptz not null,
  actor      text        not null,
  action     text        not null,
  warrant    text        not null,
  record     bytea,
  salt       bytea,
  commitment bytea       not null,
  constraint audit_entry_pk primary key (index),
  constraint audit_entry_index_is_position check (index >= 0),
  constraint audit_entry_commitment_is_sha256 check (length(commitment) = 32),
  constraint audit_entry_record_and_salt_together check ((record is null) = (salt is null))
);
comment on table audit_entry is 'Who did what, when: one row an act, in the order of the tree.';
create index audit_entry_warrant on audit_entry (warrant, index) where warrant <> '';
create index audit_entry_actor on audit_entry (actor, index);
create index audit_entry_time on audit_entry (time);

create table audit_hash (
  id   bigint not null,
  hash bytea  not null,
  constraint audit_hash_pk primary key (id),
  constraint audit_hash_is_sha256 check (length(hash) = 32)
);
comment on table audit_hash is 'Stored hashes of the Merkle tree; id is tlog.StoredHashIndex.';

create table audit_checkpoint (
  size       bigint      not null,
  note       bytea       not null,
  created_at timestamptz not null default now(),
  constraint audit_checkpoint_pk primary key (size)
);
comment on table audit_checkpoint is 'Signed tree heads (C2SP tlog-checkpoint).';

-- +goose StatementBegin
create function audit_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'integrity_constraint_violation', constraint = 'audit_append_only';
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function audit_only_erase_record() returns trigger language plpgsql as $$
begin
  if old.record is not null and new.record is null and new.salt is null
     and old.action <> 'audit.erase' and (new.actor, new.action, new.warrant) = ('', '', '')
     and (new.index, new.time, new.commitment) = (old.index, old.time, old.commitment) then
    return new;
  end if;
  raise exception 'the audit log is append-only' using errcode = 'integrity_constraint_violation', constraint = 'audit_append_only';
end $$;
-- +goose StatementEnd

create trigger audit_entry_update before update on audit_entry for each row execute function audit_only_erase_record();
create trigger audit_entry_delete before delete on audit_entry for each row execute function audit_refuse_change();
create trigger audit_entry_truncate before truncate on audit_entry for each statement execute function audit_refuse_change();
create trigger audit_hash_change before update or delete on audit_hash for each row execute function audit_refuse_change();
create trigger audit_hash_truncate before truncate on audit_hash for each statement execute function audit_refuse_change();
create trigger audit_checkpoint_change before update or delete on audit_checkpoint for each row execute function audit_refuse_change();
create trigger audit_checkpoint_truncate before truncate on audit_checkpoint for each statement execute function audit_refuse_change();
