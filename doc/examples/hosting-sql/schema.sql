-- Tenants of a mail relay.  PostgreSQL, MariaDB, MySQL and SQLite all take this text.
-- All domains and addresses in lower case: look-ups are.

CREATE TABLE tenants (
        name    varchar(64)  NOT NULL PRIMARY KEY,
        route   varchar(255) NOT NULL,                  -- as in transport(5): relay:[mail.tenant.example]
        policy  varchar(32)  NOT NULL DEFAULT 'rules_standard', -- one of smtpd_restriction_classes
        active  integer      NOT NULL DEFAULT 1
);

CREATE TABLE domains (
        domain  varchar(255) NOT NULL PRIMARY KEY,
        tenant  varchar(64)  NOT NULL REFERENCES tenants (name)
);

-- Every address; "@domain" takes all that the domain does not list (and spam to all of it, and bounces: better not).
CREATE TABLE recipients (
        address varchar(255) NOT NULL PRIMARY KEY,
        domain  varchar(255) NOT NULL REFERENCES domains (domain),
        policy  varchar(32)  NOT NULL DEFAULT ''        -- in the place of the tenant's
);

-- For all tenants: an address, a domain, or "user@"; the action is one of access(5).
CREATE TABLE senders (
        sender  varchar(255) NOT NULL PRIMARY KEY,
        action  varchar(255) NOT NULL
);

CREATE INDEX domains_of_tenant ON domains (tenant);

CREATE INDEX recipients_of_domain ON recipients (domain);
