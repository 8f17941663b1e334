-- What the operator says of a session when all of it has come: a signed statement, and
-- where records are missing.
--
--   session ──< segment ──< segment_gap
--      └──────< session_statement     one a state of the session: a late record makes another

-- +goose Up
create table segment_gap (
  session_id uuid        not null,
  number     int         not null,
  place      int         not null,
  kind       text        not null,
  after      bigint      not null,
  missing    bigint      not null,
  at         timestamptz not null,
  cause      text        not null,
  constraint segment_gap_pk primary key (session_id, number, place),
  constraint segment_gap_segment foreign key (session_id, number) references segment (session_id, number),
  constraint segment_gap_kind_known check (kind in ('iri', 'cc')),
  constraint segment_gap_counts check (place >= 0 and after between 0 and 4294967295 and missing between 0 and 4294967295)
);
comment on table segment_gap is 'What is missing before or within a segment, as its sealed gap records say.';

create table session_statement (
  session_id  uuid        not null,
  segments    int         not null,
  manifest    bytea       not null,
  signature   bytea       not null,
  audit_index bigint      not null,
  at          timestamptz not null,
  constraint session_statement_pk primary key (session_id, segments),
  constraint session_statement_session foreign key (session_id) references session (id),
  constraint session_statement_not_empty check (length(manifest) > 0 and length(signature) > 0),
  constraint session_statement_logged check (audit_index >= 0)
);
comment on table session_statement is 'The operator manifest of a closed session with its CMS signature; audit_index is the entry that holds its hash.';

create trigger segment_gap_never_changes before update or delete on segment_gap for each row execute function never_changes();
create trigger session_statement_never_changes before update or delete on session_statement for each row execute function never_changes();
