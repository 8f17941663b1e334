-- How the operator's staff prove who they are, for how long, and what they signed.
--
--   person ──► n passkey             (its counter moves, nothing else)
--          ──► 1 person_password     (with TOTP; never an approver's)
--          ──► 1 person_oidc         (issuer and subject, pinned)
--          ──► n person_clearance    (the newest confirmed one counts; none = no end)
--          ──► n enrolment           (a link: one system administrator issues, another confirms)
--          ──► n signin_session
--          ──► n approval_signature  (append-only)
--   machine_token                    (reads only)
--
-- No secret stands here in clear: links, sessions and machine tokens as SHA-256,
-- passwords as argon2id, TOTP secrets sealed.

-- +goose Up
alter table person
  alter column cert drop not null,
  add column signin          text not null default 'certificate',
  add column disabled_at     timestamptz,
  add column disabled_by     text,
  add column enable_asked_by text,
  add column enabled_by      text,
  add constraint person_signin_known check (signin in ('certificate', 'passkey', 'password', 'oidc')),
  add constraint person_certificate_has_cert check ((signin = 'certificate') = (cert is not null)),
  add constraint person_password_cannot_approve check (signin <> 'password' or role <> 'approver'),
  add constraint person_disabled_by_somebody check ((disabled_at is null) or disabled_by is not null),
  add constraint person_enabled_by_another check (enabled_by is null or enabled_by <> enable_asked_by),
  add constraint person_not_enabled_by_self check (id <> all (array[enable_asked_by, enabled_by]) is not false);
comment on column person.signin is 'How the person signs in, and no other way.';
comment on column person.disabled_at is 'Since when the person may not sign in; one system administrator disables, two enable again.';

-- Who a person is never changes. Only system administrators confirm, but for the
-- ceremony, which ends with the first person whom one of them confirmed. Enabling
-- takes two.
-- +goose StatementBegin
create or replace function person_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if (new.id, new.name, new.role, new.cert, new.added_by, new.signin) is distinct from (old.id, old.name, old.role, old.cert, old.added_by, old.signin)
       or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by then
      raise exception 'a person is immutable' using errcode = 'integrity_constraint_violation', constraint = 'person_immutable';
    end if;
    if old.disabled_at is not null and new.disabled_at is null and (old.enable_asked_by is null or new.enabled_by is null) then
      raise exception 'enabling takes two' using errcode = 'integrity_constraint_violation', constraint = 'person_enable_four_eyes';
    end if;
    if new.confirmed_by is not distinct from old.confirmed_by then
      return new;
    end if;
  end if;
  if new.confirmed_by = 'setup' and exists (select from person where confirmed_by <> 'setup')
     or new.confirmed_by <> 'setup' and not exists (select from person where id = new.confirmed_by and role = 'sysadmin' and confirmed_by is not null and disabled_at is null) then
    raise exception 'a system administrator confirms' using errcode = 'integrity_constraint_violation', constraint = 'person_confirmed_by_sysadmin';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger person_insert_guard before insert on person for each row execute function person_guard();

create table person_clearance (
  person_id    text        not null,
  number       int         not null,
  until        timestamptz not null,
  added_by     text        not null,
  confirmed_by text,
  created_at   timestamptz not null,
  constraint person_clearance_pk primary key (person_id, number),
  constraint person_clearance_person foreign key (person_id) references person (id),
  constraint person_clearance_confirmed_by_another check (confirmed_by is null or confirmed_by not in (added_by, person_id)),
  constraint person_clearance_number_from_one check (number >= 1)
);
comment on table person_clearance is 'Until when a person is cleared; the newest confirmed one counts.';

-- +goose StatementBegin
create function person_active(who text, moment timestamptz) returns boolean language sql stable as $$
  select exists (select from person p where p.id = who and p.confirmed_by is not null and p.disabled_at is null
    and coalesce((select c.until > moment from person_clearance c where c.person_id = p.id and c.confirmed_by is not null order by c.number desc limit 1), true))
$$;
-- +goose StatementEnd

create table enrolment (
  id           text        not null,
  person_id    text,
  token_hash   bytea       not null,
  issued_by    text        not null,
  confirmed_by text,
  remaining    int         not null,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  constraint enrolment_pk primary key (id),
  constraint enrolment_token_unique unique (token_hash),
  constraint enrolment_person foreign key (person_id) references person (id),
  constraint enrolment_token_is_sha256 check (length(token_hash) = 32),
  constraint enrolment_confirmed_by_another check (confirmed_by is null or confirmed_by <> issued_by),
  constraint enrolment_not_by_self check (person_id is null or (person_id <> issued_by and (confirmed_by is null or person_id <> confirmed_by))),
  constraint enrolment_bootstrap_by_ceremony check ((person_id is null) = (issued_by = 'ceremony')),
  constraint enrolment_remaining check (remaining between 0 and 2 and (person_id is null or remaining <= 1)),
  constraint enrolment_short check (expires_at > created_at and expires_at <= created_at + interval '7 days')
);
comment on table enrolment is 'One-time links by which people enrol; without a person it is the bootstrap link of the first two.';

-- +goose StatementBegin
create function enrolment_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'confirmed_by' - 'remaining' is distinct from to_jsonb(old) - 'confirmed_by' - 'remaining'
     or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by
     or new.remaining > old.remaining then
    raise exception 'an enrolment is immutable' using errcode = 'integrity_constraint_violation', constraint = 'enrolment_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger enrolment_guard before update on enrolment for each row execute function enrolment_guard();
create trigger enrolment_never_deleted before delete on enrolment for each row execute function never_changes();

create table passkey (
  id              bytea       not null,
  person_id       text        not null,
  enrolment_id    text        not null,
  public_key      bytea       not null,
  attestation     text        not null,
  aaguid          bytea       not null,
  sign_count      bigint      not null,
  backup_eligible boolean     not null,
  backup_state    boolean     not null,
  transports      text[]      not null,
  created_at      timestamptz not null,
  used_at         timestamptz,
  revoked_at      timestamptz,
  revoked_by      text,
  constraint passkey_pk primary key (id),
  constraint passkey_one_an_enrolment unique (enrolment_id, person_id),
  constraint passkey_person foreign key (person_id) references person (id),
  constraint passkey_enrolment foreign key (enrolment_id) references enrolment (id),
  constraint passkey_counter check (sign_count between 0 and 4294967295),
  constraint passkey_backup check (backup_eligible or not backup_state),
  constraint passkey_revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
);
comment on table passkey is 'Public keys of people''s authenticators (WebAuthn); public_key is COSE.';

create table person_password (
  person_id    text        not null,
  enrolment_id text        not null,
  hash         text        not null,
  totp         bytea       not null,
  last_step    bigint      not null default 0,
  created_at   timestamptz not null,
  constraint person_password_pk primary key (person_id),
  constraint person_password_person foreign key (person_id) references person (id),
  constraint person_password_enrolment foreign key (enrolment_id) references enrolment (id),
  constraint person_password_is_argon2id check (hash like '$argon2id$%')
);
comment on table person_password is 'argon2id hash and sealed TOTP secret of who cannot approve; last_step is the newest TOTP step that was used.';

create table person_oidc (
  issuer       text        not null,
  subject      text        not null,
  person_id    text        not null,
  enrolment_id text        not null,
  created_at   timestamptz not null,
  constraint person_oidc_pk primary key (issuer, subject),
  constraint person_oidc_one_a_person unique (person_id),
  constraint person_oidc_person foreign key (person_id) references person (id),
  constraint person_oidc_enrolment foreign key (enrolment_id) references enrolment (id)
);
comment on table person_oidc is 'Which subject of the identity provider is which person, pinned at enrolment.';
create trigger person_oidc_never_changes before update or delete on person_oidc for each row execute function never_changes();

-- A credential belongs to who signs in that way, and comes from a link for that
-- person that two confirmed.
-- +goose StatementBegin
create function credential_guard() returns trigger language plpgsql as $$
begin
  if not exists (select from person where id = new.person_id and signin = tg_argv[0]) then
    raise exception 'the person signs in another way' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_signin';
  end if;
  if not exists (select from enrolment where id = new.enrolment_id and (person_id = new.person_id and confirmed_by is not null or person_id is null)) then
    raise exception 'no confirmed enrolment' using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_enrolled_by_two';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger passkey_insert_guard before insert on passkey for each row execute function credential_guard('passkey');
create trigger person_password_guard before insert or update of person_id, enrolment_id, hash, totp on person_password for each row execute function credential_guard('password');
create trigger person_oidc_guard before insert on person_oidc for each row execute function credential_guard('oidc');

-- +goose StatementBegin
create function passkey_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'sign_count' - 'backup_state' - 'used_at' - 'revoked_at' - 'revoked_by'
     is distinct from to_jsonb(old) - 'sign_count' - 'backup_state' - 'used_at' - 'revoked_at' - 'revoked_by'
     or old.revoked_at is not null
     or new.sign_count < old.sign_count then
    raise exception 'a passkey is immutable' using errcode = 'integrity_constraint_violation', constraint = 'passkey_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger passkey_guard before update on passkey for each row execute function passkey_guard();
create trigger passkey_never_deleted before delete on passkey for each row execute function never_changes();

create table signin_challenge (
  id         text        not null,
  kind       text        not null,
  data       jsonb       not null,
  expires_at timestamptz not null,
  constraint signin_challenge_pk primary key (id),
  constraint signin_challenge_kind_known check (kind in ('register', 'assert', 'step-up', 'approve', 'password', 'oidc'))
);
comment on table signin_challenge is 'Ceremonies that began; gone once they end.';

create table signin_session (
  id               text        not null,
  token_hash       bytea       not null,
  person_id        text        not null,
  method           text        not null,
  agent_hash       bytea       not null,
  cert             text        not null,
  source           text        not null,
  created_at       timestamptz not null,
  seen_at          timestamptz not null,
  expires_at       timestamptz not null,
  second_factor_at timestamptz not null,
  revoked_at       timestamptz,
  revoked_by       text,
  constraint signin_session_pk primary key (id),
  constraint signin_session_token_unique unique (token_hash),
  constraint signin_session_person foreign key (person_id) references person (id),
  constraint signin_session_hashes_are_sha256 check (length(token_hash) = 32 and length(agent_hash) = 32),
  constraint signin_session_method_known check (method in ('passkey', 'password', 'oidc')),
  constraint signin_session_short check (expires_at > created_at and expires_at <= created_at + interval '24 hours'),
  constraint signin_session_revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
);
comment on table signin_session is 'Who is signed in, from what.';
create index signin_session_of_person on signin_session (person_id) where revoked_at is null;

-- +goose StatementBegin
create function signin_session_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'seen_at' - 'second_factor_at' - 'revoked_at' - 'revoked_by'
     is distinct from to_jsonb(old) - 'seen_at' - 'second_factor_at' - 'revoked_at' - 'revoked_by'
     or old.revoked_at is not null then
    raise exception 'a session is immutable' using errcode = 'integrity_constraint_violation', constraint = 'signin_session_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger signin_session_guard before update on signin_session for each row execute function signin_session_guard();

create table signin_failure (
  subject      text        not null,
  failures     int         not null,
  last_at      timestamptz not null,
  locked_until timestamptz,
  constraint signin_failure_pk primary key (subject),
  constraint signin_failure_counts check (failures >= 1)
);
comment on table signin_failure is 'Failed sign-ins of an account or an address, until one succeeds or a day has passed.';

create table machine_token (
  id           text        not null,
  name         text        not null,
  token_hash   bytea       not null,
  role         text        not null,
  operations   text[]      not null,
  added_by     text        not null,
  confirmed_by text,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  revoked_at   timestamptz,
  revoked_by   text,
  constraint machine_token_pk primary key (id),
  constraint machine_token_hash_unique unique (token_hash),
  constraint machine_token_hash_is_sha256 check (length(token_hash) = 32),
  constraint machine_token_added_by_person foreign key (added_by) references person (id),
  constraint machine_token_confirmed_by_person foreign key (confirmed_by) references person (id),
  constraint machine_token_confirmed_by_another check (confirmed_by is null or confirmed_by <> added_by),
  constraint machine_token_role_known check (role in ('drafter', 'auditor', 'sysadmin')),
  constraint machine_token_only_reads check (array_to_string(operations, ',') ~ '^(list|get|prove|export)-[a-z0-9-]+(,(list|get|prove|export)-[a-z0-9-]+)*$'),
  constraint machine_token_short check (expires_at > created_at and expires_at <= created_at + interval '90 days'),
  constraint machine_token_revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
);
comment on table machine_token is 'Tokens of machines: they read what they name, and act on nothing.';

-- +goose StatementBegin
create function machine_token_guard() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - 'confirmed_by' - 'revoked_at' - 'revoked_by' is distinct from to_jsonb(old) - 'confirmed_by' - 'revoked_at' - 'revoked_by'
     or old.confirmed_by is not null and new.confirmed_by is distinct from old.confirmed_by
     or old.revoked_at is not null then
    raise exception 'a machine token is immutable' using errcode = 'integrity_constraint_violation', constraint = 'machine_token_immutable';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger machine_token_guard before update on machine_token for each row execute function machine_token_guard();
create trigger machine_token_never_deleted before delete on machine_token for each row execute function never_changes();

create table approval_signature (
  warrant_id         text        not null,
  version            int         not null,
  person_id          text        not null,
  order_hash         bytea       not null,
  nonce              bytea       not null,
  rp_id              text        not null,
  origin             text        not null,
  credential_id      bytea       not null,
  public_key         bytea       not null,
  authenticator_data bytea       not null,
  client_data        bytea       not null,
  signature          bytea       not null,
  created_at         timestamptz not null,
  constraint approval_signature_pk primary key (warrant_id, version, person_id),
  constraint approval_signature_version foreign key (warrant_id, version) references warrant_version (warrant_id, version),
  constraint approval_signature_person foreign key (person_id) references person (id),
  constraint approval_signature_passkey foreign key (credential_id) references passkey (id),
  constraint approval_signature_hashes check (length(order_hash) = 32 and length(nonce) = 32)
);
comment on table approval_signature is 'What an approver''s passkey signed: the keyed hash of exactly one version. Verifiable without us.';
create trigger approval_signature_never_changes before update or delete on approval_signature for each row execute function never_changes();

-- +goose StatementBegin
create function approval_signature_guard() returns trigger language plpgsql as $$
begin
  if not exists (select from passkey k join person p on p.id = k.person_id
     where k.id = new.credential_id and k.person_id = new.person_id and k.public_key = new.public_key and k.revoked_at is null and p.role = 'approver') then
    raise exception 'not the approver''s passkey' using errcode = 'integrity_constraint_violation', constraint = 'approval_signature_own_passkey';
  end if;
  if exists (select from warrant where id = new.warrant_id and drafter = new.person_id) then
    raise exception 'who drafted does not approve' using errcode = 'integrity_constraint_violation', constraint = 'approval_signature_four_eyes';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger approval_signature_guard before insert on approval_signature for each row execute function approval_signature_guard();

-- Whoever may not sign in approves nothing. Whoever signs in by passkey approves with
-- a signature over the version that was submitted. Where a warrant has a second
-- approver the same holds for both.
-- +goose StatementBegin
create function warrant_approval_signed() returns trigger language plpgsql as $$
declare
  which text;
  who   text;
begin
  foreach which in array array['approver', 'second_approver'] loop
    who := to_jsonb(new) ->> which;
    continue when who is null or who = '' or who is not distinct from to_jsonb(old) ->> which;
    if exists (select from person where id = who and confirmed_by is not null) and not person_active(who, now()) then
      raise exception 'the approver may not sign in' using errcode = 'integrity_constraint_violation', constraint = 'warrant_approver_active';
    end if;
    if exists (select from person where id = who and signin = 'passkey')
       and not exists (select from approval_signature where warrant_id = new.id and version = old.version and person_id = who) then
      raise exception 'the approval is not signed' using errcode = 'integrity_constraint_violation', constraint = 'warrant_approval_signed';
    end if;
  end loop;
  return new;
end $$;
-- +goose StatementEnd
create trigger warrant_approval_signed before update on warrant for each row execute function warrant_approval_signed();
