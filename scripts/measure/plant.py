"""Anomalies of kinds that auditors know, planted into a ledger of real payments. It knows no rule: a case is found if a
rule finds one of its payments, or a window or tick about its payee. What only says how far a budget line is used does
not count, and amounts keep the scale of the ledger."""
import collections, csv, datetime, random

EACH = 6


class Ledger:
    def __init__(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            self.rows = list(reader)
            self.columns = [*reader.fieldnames, "beneficiary_id"]
        self.payments = [row for row in self.rows if row["type"] == "payment"]
        self.by_payee = collections.defaultdict(list)
        for row in self.payments:
            self.by_payee[row["payee_account"]].append(row)
        self.days = sorted({row["occurred_at"][:10] for row in self.payments})
        self.added = []
        behind = collections.defaultdict(collections.Counter)
        for row in self.payments:
            behind[day_of(row).month][day_of(row).year - int(row["fiscal_year"])] += 1
        self.behind = {month: years.most_common(1)[0][0] for month, years in behind.items()}

    def of_year(self, row, day):
        """A payment's fiscal year and line, had it been made on that day: to charge another year's is no part of any case."""
        year, before = str(day.year - self.behind[day.month]), row["fiscal_year"]
        line = row["budget_line_id"]
        return {"fiscal_year": year, "budget_line_id": line.removesuffix(before) + year if line.endswith(before) else line}

    def add(self, like, day, **changes):
        """A payment like another one on a day; its budget line is given what it takes."""
        number = len(self.added)
        row = {**like, "event_id": f"X{number}", "occurred_at": str(day), "invoice_no": f"new-{number}", **changes}
        row.update(self.of_year(row, day))
        budget = {name: row[name] for name in ("budget_line_id", "fiscal_year", "region_code", "unit_code", "unit_name",
                                               "function_code", "economic_code", "amount")}
        self.added += [{**dict.fromkeys(self.columns, ""), **budget, "event_id": f"Y{number}", "type": "budget",
                        "action": "supplement", "occurred_at": str(day)}, row]
        return row["event_id"]

    def write(self, path):
        """In the order of days, what is planted after what was there. A line that is new to its year is approved."""
        approved = {row["budget_line_id"] for row in self.rows if row["action"] == "approve"}
        for row in sorted(self.added, key=lambda row: row["occurred_at"]):
            if row["type"] == "budget" and row["budget_line_id"] not in approved:
                approved.add(row["budget_line_id"])
                row["action"] = "approve"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(self.rows + self.added, key=lambda row: row["occurred_at"][:10]))


def day_of(row):
    return datetime.date.fromisoformat(row["occurred_at"][:10])


def cents(row):
    whole, _, part = row["amount"].partition(".")
    return int(whole) * 100 + int((part + "00")[:2])


def money(value):
    return f"{value // 100}.{value % 100:02}"


def later(row, days):
    return day_of(row) + datetime.timedelta(days=days)


class Planter:
    def __init__(self, ledger, seed):
        self.ledger, self.dice = ledger, random.Random(seed)
        start = day_of(ledger.payments[0]) + datetime.timedelta(days=500)
        end = day_of(ledger.payments[-1]) - datetime.timedelta(days=120)
        # With a year before it and a quarter after it, and of an amount that somebody would look at.
        self.bases = [row for row in ledger.payments if start <= day_of(row) <= end and 200_000 <= cents(row) <= 20_000_000 and cents(row) % 10_000]
        self.used = set()

    def base(self, wanted=lambda own: True):
        """A payment whose payee nothing was planted for yet."""
        while True:
            row = self.dice.choice(self.bases)
            own = [one for one in self.ledger.by_payee[row["payee_account"]] if one["occurred_at"] <= row["occurred_at"]]
            if row["payee_account"] not in self.used and wanted(own):
                self.used.add(row["payee_account"])
                return row, own

    def often(self, times):
        return self.base(lambda own: len(own) >= times)

    def name(self):
        return "".join(self.dice.choice("BCDFGHJKLMNPRSTVWZ") + self.dice.choice("aeiou") for _ in range(4)).title()

    # What is done. Each gives the payments that it consists of.

    def bank_details_changed(self):
        row, own = self.often(4)
        usual = sorted(cents(one) for one in own)[len(own) // 2]
        amount = money(int(usual * self.dice.uniform(0.7, 1.3)))
        return [self.ledger.add(row, later(row, 20), payee_account=f"N{self.dice.randrange(10**9)}", amount=amount)]

    def paid_again_late(self):
        row, _ = self.base()
        return [self.ledger.add(row, later(row, self.dice.randint(35, 90)), invoice_no=row["invoice_no"])]

    def net_and_gross(self):
        row, _ = self.base()
        gross = money(round(cents(row) * (100 + self.dice.choice([3, 6, 9, 13])) / 100))
        return [self.ledger.add(row, later(row, self.dice.randint(3, 25)), amount=gross, invoice_no=row["invoice_no"])]

    def two_records_of_one_supplier(self):
        row, _ = self.base()
        name = row["payee_name"].replace("-", " ").lower() + self.dice.choice([" Ltd", " Limited", "."])
        return [self.ledger.add(row, later(row, self.dice.randint(2, 25)), payee_name=name, invoice_no=row["invoice_no"],
                                payee_account=f"N{self.dice.randrange(10**9)}")]

    def invoice_typed_differently(self):
        row, _ = self.base()
        typed = self.dice.choice([row["invoice_no"].replace("-", ""), row["invoice_no"].upper(), row["invoice_no"].replace("-", "- 0")])
        return [self.ledger.add(row, later(row, self.dice.randint(2, 25)), invoice_no=typed)]

    def one_bill_two_units(self):
        row, _ = self.base()
        other = dict(unit_code="LDA", unit_name="London Development Agency", budget_line_id="LDA-" + row["budget_line_id"])
        return [self.ledger.add(row, later(row, self.dice.randint(2, 25)), invoice_no=row["invoice_no"], **other)]

    def split_over_days(self):
        row, _ = self.base()
        like = {**row, "economic_code": "31002", "payee_name": self.name(), "payee_account": f"N{self.dice.randrange(10**9)}"}
        parts = [self.dice.randint(14_000_000, 19_999_900) for _ in range(4)]
        return [self.ledger.add(like, later(row, 3 * at), amount=money(part)) for at, part in enumerate(parts)]

    def split_over_a_family(self):
        row, _ = self.base()
        core, parts = self.name(), [self.dice.randint(14_000_000, 19_999_900) for _ in range(4)]
        return [self.ledger.add({**row, "economic_code": "31002"}, later(row, 2 * at), amount=money(part),
                                payee_name=f"{core} {word} Ltd", payee_account=f"N{self.dice.randrange(10**9)}")
                for at, (part, word) in enumerate(zip(parts, ["Services", "Systems", "Supplies", "Trading"]))]

    def one_account_several_people(self):
        row, _ = self.base()
        account = f"N{self.dice.randrange(10**9)}"
        people = [(self.name(), f"B{self.dice.randrange(10**9)}") for _ in range(4)]
        return [self.ledger.add(row, later(row, 25 * at), payee_account=account, payee_name=name, beneficiary_id=person,
                                payee_type="person", economic_code="30305", amount=money(self.dice.randint(20_000, 90_000)))
                for at, (name, person) in enumerate(people)]

    def only_customer(self):
        row, _ = self.base()
        like = {**row, "payee_name": self.name(), "payee_account": f"N{self.dice.randrange(10**9)}"}
        first = self.dice.randint(1, 40)
        return [self.ledger.add(like, later(row, 11 * at), invoice_no=f"{first + at:04}", amount=money(self.dice.randint(200_000, 900_000)))
                for at in range(9)]

    def price_creep(self):
        row, _ = self.base()
        like = {**row, "payee_name": self.name(), "payee_account": f"N{self.dice.randrange(10**9)}"}
        price = self.dice.randint(300_000, 900_000)
        return [self.ledger.add(like, later(row, 30 * at - 270), amount=money(round(price * 1.04**at))) for at in range(12)]

    def extra_zero(self):
        row, own = self.often(6)
        right = cents(self.dice.choice(own)) * self.dice.uniform(0.9, 1.1)
        return [self.ledger.add(row, later(row, 15), amount=money(round(right) * 10))]

    def dormant_payee(self):
        quiet = lambda own: True
        while True:
            row, _ = self.base(quiet)
            dates = [day_of(one) for one in self.ledger.by_payee[row["payee_account"]]]
            day = later(row, self.dice.randint(400, 500))
            if max(dates) == day_of(row) and str(day) <= self.ledger.days[-1]:
                return [self.ledger.add(row, day, amount=money(self.dice.randint(3_000_000, 40_000_000)))]


KINDS = [name for name in vars(Planter) if not name.startswith("_") and name not in ("base", "often", "name")]


def plant(source, out, seed):
    """Plants cases of each kind, and gives their kinds, payments and payees."""
    ledger = Ledger(source)
    planter = Planter(ledger, seed)
    cases = [(kind, set(getattr(planter, kind)())) for _ in range(EACH) for kind in KINDS]
    ledger.write(out)
    added = {row["event_id"]: row for row in ledger.added}
    return [(kind, events, {added[event][name] for event in events for name in ("payee_account", "payee_name")},
             min(added[event]["occurred_at"] for event in events)) for kind, events in cases]


def finds(case, finding):
    """Whether a finding is about a case: one of its payments, or a window or tick about its payee."""
    _, events, payees, since = case
    of_payee = finding.get("event_id") is None and finding["at"][:10] >= since and payees & set(map(str, finding["key"].values()))
    return bool(finding.get("event_id") in events or of_payee) and set(finding["key"]) != {"budget_line_id"}


def score(cases, found):
    """For each kind and case the rules that found it, with their handlings and modes."""
    scores = collections.defaultdict(list)
    for case in cases:
        own = (finding for finding in found.all + found.shadow if finds(case, finding))
        scores[case[0]].append(sorted({(finding["rule_id"], finding["handling"], finding["mode"]) for finding in own}))
    return scores
