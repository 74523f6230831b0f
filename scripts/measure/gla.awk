# Published payments into events. Read the file twice: awk -v bills=row -f scripts/measure/gla.awk FILE FILE
#
# A row is a payment, and a credit note (a negative amount) a refund of the last payment to that payee in that category and
# year if that was as large and nothing was refunded of it yet. The data does not tell what a credit note is for: the others name none,
# and where the year has not paid as much, it is for the year before.
# Made up, because the data lacks it:
#   unit           by `units`: one, the authority (also if nothing is said); category, 25, each with categories of its own;
#                  payee, 25, each with payees of its own and a budget line for each of its categories
#   budget line    one for each category (without regard to case) and fiscal year from April; approved on 1 April for
#                  what the category cost the year before (a new one: in the year); supplemented on the day by what a payment is short of, and a quarter more
#   class          the economic class whose name fits the category best, below; 30299 (other) if none does
#   payee          name and account are both the published hash, everybody is an entity: persons cannot be told
#   invoice        by `bills`: row (also if nothing is said), the number of the row, each published row being a bill of its own;
#                  day, the payee and the day, rows of one day being the lines of one bill; none, no number at all; dummy,
#                  as row, and one in four has the word that clerks type where a form insists on a number
#   purpose        "for" and the category
function class_of(c) {
    if (c ~ /GRANT|CONTRIBUTION|SPONSOR/) return "31299"
    if (c ~ /CAPITAL|CONSTRUCTION|WORKS/) return "31005"
    if (c ~ /AGENCY|TEMPORARY|SECONDED|STAFF COST|PAYROLL/) return "30226"
    if (c ~ /CONSULT|LEGAL|AUDIT|RESEARCH|PROFESSIONAL/) return "30203"
    if (c ~ /PRINT|PUBLICATION|PHOTO/) return "30202"
    if (c ~ /TRAIN|COURSE/) return "30216"
    if (c ~ /TRAVEL|HOTEL|FLIGHT|ACCOMMODATION/) return "30211"
    if (c ~ /CATER|HOSPITALITY/) return "30217"
    if (c ~ /RENT|LEASE/) return "30214"
    if (c ~ /ELECTRIC|GAS/) return "30206"
    if (c ~ /WATER/) return "30205"
    if (c ~ /POST|TELEPHON|TELECOM|MOBILE|COURIER/) return "30207"
    if (c ~ /CLEAN|SECURITY|PROPERTY MAN|FACILIT|LITTER/) return "30209"
    if (c ~ /SOFTWARE|NETWORK|WEB/) return "31007"
    if (c ~ /HARDWARE|COMPUTER|EQUIPMENT|FURNITURE/) return "31002"
    if (c ~ /REPAIR|MAINT/) return "30213"
    if (c ~ /VEHICLE|FUEL/) return "30231"
    if (c ~ /MEETING|CONFERENCE|EVENT|EXHIBITION/) return "30215"
    if (c ~ /STATIONER|SUBSCRIPTION|CONSUMABLE/) return "30201"
    if (c ~ /RATES|TAX|VAT/) return "30240"
    return "30299"
}
# Whole pence, so that nothing is rounded.
function pence(text,   sign, parts, n) {
    sign = 1
    if (text ~ /^-/) { sign = -1; text = substr(text, 2) }
    n = split(text, parts, ".")
    return sign * (parts[1] * 100 + (n > 1 ? substr(parts[2] "00", 1, 2) : 0))
}
function pounds(p) { return sprintf("%d.%02d", int(p / 100), p % 100) }
function unit_of(text,   i, sum) {
    for (i = 1; i <= length(text); i++) sum = (sum * 31 + code[substr(text, i, 1)]) % 100003
    return sprintf("%02d", sum % 25)
}
function budget(action, amount) {
    n_budget++
    print "B" n_budget ",budget," day "," action "," line "," year ",000000001," unit ",2010301," class ",,,,,,," pounds(amount) ",,,,"
}
BEGIN {
    FS = ","
    for (i = 1; i < 128; i++) code[sprintf("%c", i)] = i
    print "event_id,type,occurred_at,action,budget_line_id,fiscal_year,region_code,unit_code,unit_name,function_code,economic_code,payment_mode,settlement,payee_name,payee_account,payee_type,currency,amount,purpose,invoice_no,original_event_id,reason"
}
FNR == 1 { pass++; next }
{
    category = $0
    sub(/^[^,]*,[^,]*,[^,]*,/, "", category)
    gsub(/["\r]/, "", category); gsub(/,/, " ", category)
    day = $1; payee = $2; amount = pence($3)
    year = substr(day, 1, 4) - (substr(day, 6, 5) < "04-01")
    base = toupper(category); gsub(/[^A-Z0-9]+/, "-", base); base = substr(base, 1, 50)
    number = units == "category" ? unit_of(base) : units == "payee" ? unit_of(payee) : ""
    unit = "GLA" number ",Greater London Authority" (number == "" ? "" : " " number)
    if (units == "payee") base = base "-" number
    line = base "-" year
}
pass == 1 { spent[base, year] += amount; next }
{
    class = class_of(toupper(category))
    if (!(line in total)) {
        was = ((base, year - 1) in spent) ? spent[base, year - 1] : spent[base, year]
        first = was > 100 ? was : 100
        kept = day; day = year "-04-01"
        budget("approve", first)
        day = kept
        total[line] = first
    }
}
amount > 0 {
    short = paid[line] + amount - total[line]
    if (short > 0) { short += int(total[line] / 4); budget("supplement", short); total[line] += short }
    paid[line] += amount
    id = "P" ++n_payment
    last[payee, line] = id; left[payee, line] = amount
    invoice = bills == "none" ? "" : bills == "day" ? payee "-" day : bills == "dummy" && FNR % 4 == 0 ? "0000" : "row-" FNR
    print id ",payment," day ",," line "," year ",000000001," unit ",2010301," class ",direct,transfer," payee "," payee ",entity,GBP," pounds(amount) ",for " category "," invoice ",,"
}
amount < 0 {
    origin = left[payee, line] >= -amount ? last[payee, line] : ""
    left[payee, line] = 0
    before = base "-" (year - 1)
    if (paid[line] + amount < 0 && before in total) line = before
    paid[line] += amount
    print "R" FNR ",refund," day ",," line ",,,,,,,,,,,,," pounds(-amount) ",,," origin ",credit note"
}
