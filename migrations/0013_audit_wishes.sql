-- The audits that agents wanted are read with every situation: few rows among many events.
CREATE INDEX events_audit_wanted ON events (subject) WHERE kind = 'audit.wanted';
