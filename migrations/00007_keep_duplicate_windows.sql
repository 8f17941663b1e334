-- What mediation must know after a crash to number records as it did before, and notes
-- for capture files among what a commit entails.

-- +goose Up
alter table session
  add column window_x2 bytea not null default '',
  add column window_x3 bytea not null default '',
  add constraint session_window_bounded check (length(window_x2) <= 8192 and length(window_x3) <= 8192);
comment on column session.window_x2 is 'Number and time of the last PDUs that are committed, so that one that comes twice is known.';

alter table handover_outbox drop constraint handover_outbox_kind_known;
alter table handover_outbox add constraint handover_outbox_kind_known check (kind in ('iri', 'cc', 'drop'));
