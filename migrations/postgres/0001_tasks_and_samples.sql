-- Times are Unix milliseconds: one type for SQLite and PostgreSQL.
CREATE TABLE tasks (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    done        BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);

CREATE TABLE samples (
    id    BIGINT PRIMARY KEY,
    name  TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    unit  TEXT NOT NULL
);

INSERT INTO samples (id, name, value, unit) VALUES
    (1, 'temperature', 21.5, 'Cel'),
    (2, 'humidity', 48.0, '%'),
    (3, 'pressure', 1013.25, 'hPa'),
    (4, 'illuminance', 320.0, 'lx'),
    (5, 'noise', 41.2, 'dB');
