-- What the application's role may do. Applied after each migration and safe to repeat;
-- nothing happens where the role does not exist (one role does all there). Whoever
-- migrates must own the database.
--
--   ligate_app   reads and writes rows; owns nothing, so it can neither drop a trigger
--                nor change a table
--   audit log, versions and documents of warrants, tasks, records around warrants,
--                the key of targets
--                select and insert only: history is not the application's to change;
--                audit_erase() takes records away that two people asked for
--   warrants, people, agencies, holds
--                never deleted; the triggers say what may change
do $$
begin
  if not exists (select from pg_roles where rolname = 'ligate_app') then
    return;
  end if;
  perform pg_advisory_xact_lock(119191556419188); -- "lgrant": several processes migrate at once
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to ligate_app', current_database());
  revoke create on schema public from public;
  grant usage on schema public to ligate_app;
  revoke all on all tables in schema public from ligate_app;
  grant select, insert, update, delete on all tables in schema public to ligate_app;
  grant usage, select on all sequences in schema public to ligate_app;
  revoke insert, update, delete on goose_db_version from ligate_app;
  revoke update, delete on audit_entry, audit_hash, audit_checkpoint, audit_cosignature from ligate_app;
  revoke delete on audit_request from ligate_app;
  grant execute on function audit_erase(text) to ligate_app;
  revoke update, delete on warrant_version, warrant_document, task, agency_user, sealing_key from ligate_app;
  revoke update, delete on certification, incident, incident_act, outage, outage_recovery, outage_notice,
    review, review_sample, review_result, review_close from ligate_app;
  revoke delete on warrant, tap_interval, legal_hold, protected_number, person, agency, agency_delivery from ligate_app;
  revoke insert, update, delete on warrant_step, quarantined_liid from ligate_app;
end
$$;
