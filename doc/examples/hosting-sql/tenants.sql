-- Three tenants to begin with; one of them has not paid.

INSERT INTO tenants (name, route, policy, active) VALUES
        ('bakery', 'relay:[mail.bakery.example]', 'rules_standard', 1),
        ('bank', 'relay:[mail.bank.example]:2525', 'rules_strict', 1),
        ('gone', 'relay:[mail.gone.example]', 'rules_standard', 0);

INSERT INTO domains (domain, tenant) VALUES
        ('bakery.example', 'bakery'),
        ('bread.example', 'bakery'),
        ('bank.example', 'bank'),
        ('gone.example', 'gone');

INSERT INTO recipients (address, domain, policy) VALUES
        ('info@bakery.example', 'bakery.example', ''),
        ('o''neil@bakery.example', 'bakery.example', ''),
        ('orders@bakery.example', 'bakery.example', 'rules_strict'),
        ('postmaster@bakery.example', 'bakery.example', 'rules_none'),
        ('abuse@bakery.example', 'bakery.example', 'rules_none'),
        ('@bread.example', 'bread.example', ''),
        ('clerk@bank.example', 'bank.example', ''),
        ('postmaster@bank.example', 'bank.example', 'rules_none'),
        ('abuse@bank.example', 'bank.example', 'rules_none'),
        ('info@gone.example', 'gone.example', '');

INSERT INTO senders (sender, action) VALUES
        ('spam.example', 'REJECT spam.example sends nothing that anybody here has asked for'),
        ('offers@plain.example', 'REJECT'),
        ('mailer-test@', 'DEFER_IF_PERMIT 4.7.1 come back later');
