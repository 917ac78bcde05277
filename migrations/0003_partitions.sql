-- One partition a UTC day for each table that grows with time, and a DEFAULT one so that no insert ever fails.

CREATE TABLE delivery_bodies_default PARTITION OF delivery_bodies DEFAULT;
CREATE TABLE agent_lines_default PARTITION OF agent_lines DEFAULT;
CREATE TABLE job_history_default PARTITION OF job_history DEFAULT;

-- Makes the partitions of a day and of the days after it; says how many are new. A day whose rows are already in the
-- DEFAULT partition stays there.
CREATE FUNCTION ensure_partitions(today date, ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    day date;
    made integer := 0;
BEGIN
    -- A new partition locks its parent for a moment; rather none today than a queue of waiting inserts.
    PERFORM set_config('lock_timeout', '2s', true);
    -- Two servers that start together would both make the same partition.
    PERFORM pg_advisory_xact_lock(hashtext('baton partitions'));
    FOREACH parent IN ARRAY ARRAY['delivery_bodies', 'agent_lines', 'job_history'] LOOP
        FOR day IN SELECT today + n FROM generate_series(0, ahead) AS n LOOP
            CONTINUE WHEN to_regclass(parent || to_char(day, '"_"YYYYMMDD')) IS NOT NULL;
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    parent || to_char(day, '"_"YYYYMMDD'), parent,
                    to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                NULL;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the partitions of the days before one, and what lies in the DEFAULT one from then; says how many partitions.
CREATE FUNCTION drop_partitions(parent text, before date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    child text;
    dropped integer := 0;
    key text;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(parent) AND c.relname ~ '_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
    LOOP
        EXECUTE format('DROP TABLE %I', child);
        dropped := dropped + 1;
    END LOOP;
    SELECT a.attname INTO key FROM pg_partitioned_table p
        JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
        WHERE p.partrelid = to_regclass(parent);
    EXECUTE format('DELETE FROM %I WHERE %I < %L', parent || '_default', key,
        to_char(before, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN dropped;
END
$$;
