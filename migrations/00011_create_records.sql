-- The records around warrants. Each row is written once, with its audit entry, and
-- never changes.
--
--   certification                   (47 CFR 1.20004: one an interception, with or without a warrant)
--   incident ──► n incident_act     (what was done, who was told, closed by two)
--   outage   ──► n outage_notice    (one an agency, of the outage and of the recovery)
--            ──► 1 outage_recovery
--   review   ──► n review_sample ──► 1 review_result
--            ──► 1 review_close     (only when each sample has its result)
--
-- Numbers stand in certification.form, incident.unauthorised and
-- incident_act.unauthorised only; texts are for people and should name none.

-- +goose Up
create table certification (
  id         text        not null,
  serial     bigint      not null generated always as identity,
  warrant_id text,
  form       jsonb       not null,
  made_by    text        not null,
  source     text        not null,
  made_at    timestamptz not null,
  constraint certification_pk primary key (id),
  constraint certification_warrant foreign key (warrant_id) references warrant (id),
  constraint certification_made_by foreign key (made_by) references person (id),
  constraint certification_says_authority check (form->>'authority' is not null and (form->>'authority' = 'with') = (warrant_id is not null))
);
comment on table certification is 'Certifications of interceptions as they were made, with a warrant or without authority.';
create index certification_of_warrant on certification (warrant_id, serial);
create trigger certification_never_changes before update or delete on certification for each row execute function never_changes();

create table incident (
  id           text        not null,
  serial       bigint      not null generated always as identity,
  found_at     timestamptz not null,
  found_how    text        not null,
  what         text        not null,
  warrants     text[]      not null,
  intrusion    text        not null,
  unauthorised text[]      not null,
  opened_by    text        not null,
  source       text        not null,
  opened_at    timestamptz not null,
  constraint incident_pk primary key (id),
  constraint incident_opened_by foreign key (opened_by) references person (id),
  constraint incident_intrusion_known check (intrusion in ('yes', 'no', 'not yet known')),
  constraint incident_has_facts check (found_how <> '' and what <> '')
);
comment on table incident is 'Errors, unauthorised interceptions and leaks, as they were found.';
create trigger incident_never_changes before update or delete on incident for each row execute function never_changes();

create table incident_act (
  incident_id  text        not null,
  number       int         not null,
  kind         text        not null,
  text         text        not null,
  at           timestamptz not null,
  intrusion    text        not null default '',
  unauthorised text[]      not null default '{}',
  root_cause   text        not null default '',
  prevention   text        not null default '',
  "by"         text        not null,
  source       text        not null,
  made_at      timestamptz not null,
  constraint incident_act_pk primary key (incident_id, number),
  constraint incident_act_incident foreign key (incident_id) references incident (id),
  constraint incident_act_by foreign key ("by") references person (id),
  constraint incident_act_kind_known check (kind in ('action', 'told', 'close', 'confirm-close')),
  constraint incident_act_has_text check (kind not in ('action', 'told') or text <> ''),
  constraint incident_closed_with_findings check (kind <> 'close' or intrusion in ('yes', 'no') and root_cause <> '' and prevention <> ''
    and (intrusion = 'no' or cardinality(unauthorised) > 0))
);
comment on table incident_act is 'What was done about an incident, who was told, and how it was closed.';
create unique index incident_closed_once on incident_act (incident_id) where kind = 'confirm-close';
create trigger incident_act_never_changes before update or delete on incident_act for each row execute function never_changes();

-- An incident is closed by two, the second's word follows the first's, and then it is
-- over.
-- +goose StatementBegin
create function incident_act_guard() returns trigger language plpgsql as $$
declare
  last incident_act;
begin
  perform pg_advisory_xact_lock(hashtextextended('ligate record ' || new.incident_id, 0)); -- one writer an incident
  select * into last from incident_act where incident_id = new.incident_id order by number desc limit 1;
  if new.number <> coalesce(last.number, 0) + 1 then
    perform refuse('incident_act_consecutive');
  end if;
  if last.kind = 'confirm-close' then
    perform refuse('incident_is_closed');
  end if;
  if new.kind = 'confirm-close' and (last.kind is distinct from 'close' or last."by" = new."by") then
    perform refuse('incident_closed_by_two');
  end if;
  if not exists (select from person where id = new."by" and confirmed_by is not null and role in ('drafter', 'approver')) then
    perform refuse('incident_act_by_compliance');
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger incident_act_guard before insert on incident_act for each row execute function incident_act_guard();

create table outage (
  id           text        not null,
  serial       bigint      not null generated always as identity,
  kind         text        not null,
  effect       text        not null,
  began_at     timestamptz not null,
  expected_end timestamptz not null,
  contact      text        not null,
  declared_by  text        not null,
  source       text        not null,
  declared_at  timestamptz not null,
  constraint outage_pk primary key (id),
  constraint outage_declared_by foreign key (declared_by) references person (id),
  constraint outage_has_facts check (kind <> '' and effect <> '' and contact <> ''),
  constraint outage_dates check (expected_end > began_at)
);
comment on table outage is 'Faults and interruptions that running measures suffer from.';
create trigger outage_never_changes before update or delete on outage for each row execute function never_changes();

create table outage_recovery (
  outage_id    text        not null,
  recovered_at timestamptz not null,
  missing      text        not null,
  declared_by  text        not null,
  source       text        not null,
  declared_at  timestamptz not null,
  constraint outage_recovery_pk primary key (outage_id),
  constraint outage_recovery_outage foreign key (outage_id) references outage (id),
  constraint outage_recovery_declared_by foreign key (declared_by) references person (id),
  constraint outage_recovery_says_missing check (missing <> '')
);
comment on table outage_recovery is 'Since when an outage is over, and what was not delivered.';
create trigger outage_recovery_never_changes before update or delete on outage_recovery for each row execute function never_changes();

create table outage_notice (
  outage_id text        not null,
  number    int         not null,
  name      text        not null,
  agency_id text        not null,
  form      jsonb       not null,
  made_at   timestamptz not null,
  constraint outage_notice_pk primary key (outage_id, number),
  constraint outage_notice_once unique (outage_id, name, agency_id),
  constraint outage_notice_outage foreign key (outage_id) references outage (id),
  constraint outage_notice_agency foreign key (agency_id) references agency (id),
  constraint outage_notice_name_known check (name in ('outage_notice', 'recovery_notice'))
);
comment on table outage_notice is 'What each agency is told of an outage: its own measures only.';
create trigger outage_notice_never_changes before update or delete on outage_notice for each row execute function never_changes();

create table review (
  quarter         text        not null,
  population      int         not null,
  permille        int         not null,
  checkpoint_size bigint      not null,
  checkpoint_root bytea       not null,
  seed            bytea       not null,
  started_by      text        not null,
  source          text        not null,
  started_at      timestamptz not null,
  constraint review_pk primary key (quarter),
  constraint review_started_by foreign key (started_by) references person (id),
  constraint review_quarter_form check (quarter ~ '^[0-9]{4}-Q[1-4]$'),
  constraint review_share check (population >= 0 and permille between 1 and 1000),
  constraint review_checkpoint check (checkpoint_size > 0 and length(checkpoint_root) = 32 and length(seed) = 32)
);
comment on table review is 'Quarterly reviews of the audit log; the sample follows from the checkpoint.';
create trigger review_never_changes before update or delete on review for each row execute function never_changes();

create table review_sample (
  quarter text   not null,
  entry   bigint not null,
  place   int    not null,
  constraint review_sample_pk primary key (quarter, entry),
  constraint review_sample_review foreign key (quarter) references review (quarter)
);
comment on table review_sample is 'The entries of the log that a review holds against the orders.';
create trigger review_sample_never_changes before update or delete on review_sample for each row execute function never_changes();

create table review_result (
  quarter text        not null,
  entry   bigint      not null,
  result  text        not null,
  finding text        not null,
  "by"    text        not null,
  source  text        not null,
  at      timestamptz not null,
  constraint review_result_pk primary key (quarter, entry),
  constraint review_result_sample foreign key (quarter, entry) references review_sample (quarter, entry),
  constraint review_result_by foreign key ("by") references person (id),
  constraint review_result_known check (result in ('agrees', 'differs')),
  constraint review_result_has_finding check (result = 'agrees' or finding <> '')
);
comment on table review_result is 'What the reviewer found of each entry.';
create trigger review_result_never_changes before update or delete on review_result for each row execute function never_changes();

create table review_close (
  quarter text        not null,
  form    jsonb       not null,
  "by"    text        not null,
  source  text        not null,
  at      timestamptz not null,
  constraint review_close_pk primary key (quarter),
  constraint review_close_review foreign key (quarter) references review (quarter),
  constraint review_close_by foreign key ("by") references person (id)
);
comment on table review_close is 'The report of a review whose sample entries all have their results.';
create trigger review_close_never_changes before update or delete on review_close for each row execute function never_changes();

-- +goose StatementBegin
create function review_guard() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('ligate record ' || new.quarter, 0)); -- one writer a review
  if tg_table_name = 'review_sample' then
    if exists (select from review_close where quarter = new.quarter) then
      perform refuse('review_is_closed');
    end if;
    if not exists (select from review v join audit_entry e on e.index < v.checkpoint_size where v.quarter = new.quarter and e.index = new.entry) then
      perform refuse('review_sample_of_the_checkpoint');
    end if;
  elsif not exists (select from person where id = new."by" and confirmed_by is not null and role = 'auditor') then
    perform refuse('review_by_auditor');
  elsif tg_table_name = 'review_close' and exists (
      select from review_sample s left join review_result r using (quarter, entry) where s.quarter = new.quarter and r.entry is null) then
    perform refuse('review_every_entry_has_a_result');
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger review_sample_guard before insert on review_sample for each row execute function review_guard();
create trigger review_result_guard before insert on review_result for each row execute function review_guard();
create trigger review_close_guard before insert on review_close for each row execute function review_guard();
