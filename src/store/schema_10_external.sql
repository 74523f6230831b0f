-- 用户 who are known elsewhere: by a provider of identities, or a directory. They have no password here.
CREATE TABLE external_users (
    name     TEXT PRIMARY KEY,
    -- oidc or ldap.
    provider TEXT NOT NULL,
    -- Which one, and who they are there for good.
    issuer   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    since    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX external_users_who ON external_users (provider, issuer, subject);
