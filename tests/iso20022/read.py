"""A second reader of ISO 20022 messages, for the tests: by classes that pyiso20022 has made from the published schemas.

read.py FILE… prints a line for each file: its transactions as JSON, by the fields of docs/events.md. What the schema of the
message does not know is an error here.
"""

import importlib
import json
import re
import sys

from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig


def document(path):
    text = open(path, "rb").read()
    family, name = re.search(rb"tech:xsd:((\w{4})\.\d{3}\.\d{3}\.\d{2})", text).groups()[::-1]
    name = name.decode().replace(".", "_")
    module = importlib.import_module(f"pyiso20022.{family.decode()}.{name}")
    return XmlParser(config=ParserConfig(fail_on_unknown_properties=True)).from_bytes(text, module.Document)


def at(node, path):
    """What stands at a path of names, or None: of elements the first, of texts all, of a value its text."""
    for step in path.split("."):
        if isinstance(node, list):
            node = node[0] if node else None
        node = getattr(node, step, None)
        if node is None:
            return None
    nodes = node if isinstance(node, list) else [node]
    texts = [str(getattr(node, "value", node)) for node in nodes if node is not None]
    return "; ".join(texts) if texts else None


def first(*found):
    return next((one for one in found if one is not None), None)


def account(node, name):
    return first(at(node, f"{name}.id.iban"), at(node, f"{name}.id.othr.id"))


def transfer(kind, transaction, debtor, at_day, amount):
    return {
        "type": kind,
        "event_id": first(at(transaction, "pmt_id.end_to_end_id"), at(transaction, "pmt_id.tx_id")),
        "occurred_at": at_day,
        "budget_line_id": at(transaction, "rmt_inf.strd.cdtr_ref_inf.ref"),
        "unit_code": first(at(debtor, "dbtr.id.org_id.othr.id"), at(debtor, "dbtr.id.org_id.lei")),
        "unit_name": at(debtor, "dbtr.nm"),
        "payer_account": account(debtor, "dbtr_acct"),
        "payee_name": at(transaction, "cdtr.nm"),
        "payee_account": account(transaction, "cdtr_acct"),
        "economic_code": first(at(transaction, "purp.prtry"), at(transaction, "purp.cd")),
        "purpose": at(transaction, "rmt_inf.ustrd"),
        "amount": at(transaction, amount),
        "currency": at(transaction, f"{amount}.ccy"),
    }


def pain_001(message):
    for information in message.pmt_inf:
        day = first(at(information, "reqd_exctn_dt.dt"), at(information, "reqd_exctn_dt"))
        for transaction in information.cdt_trf_tx_inf:
            yield transfer("application", transaction, information, day, "amt.instd_amt")


def pacs_008(message):
    for transaction in message.cdt_trf_tx_inf:
        day = first(at(transaction, "intr_bk_sttlm_dt"), at(message, "grp_hdr.intr_bk_sttlm_dt"))
        yield transfer("payment", transaction, transaction, day, "intr_bk_sttlm_amt")


def pacs_004(message):
    for transaction in message.tx_inf:
        yield {
            "type": "refund",
            "event_id": at(transaction, "rtr_id"),
            "original_event_id": at(transaction, "orgnl_end_to_end_id"),
            "occurred_at": first(at(transaction, "intr_bk_sttlm_dt"), at(message, "grp_hdr.intr_bk_sttlm_dt")),
            "budget_line_id": at(transaction, "orgnl_tx_ref.rmt_inf.strd.cdtr_ref_inf.ref"),
            "amount": at(transaction, "rtrd_intr_bk_sttlm_amt"),
        }


def camt_054(message):
    for notification in message.ntfctn:
        for entry in notification.ntry:
            reference = first(at(entry, "acct_svcr_ref"), at(entry, "ntry_ref"))
            for details in entry.ntry_dtls:
                for transaction in details.tx_dtls:
                    original = at(transaction, "refs.end_to_end_id")
                    reference = first(at(transaction, "refs.acct_svcr_ref"), reference)
                    side = first(at(transaction, "cdt_dbt_ind"), at(entry, "cdt_dbt_ind"))
                    parties = transaction.rltd_pties
                    yield {
                        "type": "confirmation",
                        "event_id": f"{reference}-{original}",
                        "original_event_id": original,
                        "occurred_at": first(at(entry, "bookg_dt.dt"), at(entry, "val_dt.dt")),
                        "status": {"DBIT": "paid", "CRDT": "returned"}[side],
                        "bank_ref": reference,
                        "amount": first(at(transaction, "amt"), at(transaction, "amt_dtls.tx_amt.amt")),
                        "actual_payee_name": first(at(parties, "cdtr.pty.nm"), at(parties, "cdtr.nm")),
                        "actual_payee_account": account(parties, "cdtr_acct"),
                    }


READERS = {
    "cstmr_cdt_trf_initn": pain_001,
    "fito_ficstmr_cdt_trf": pacs_008,
    "pmt_rtr": pacs_004,
    "bk_to_cstmr_dbt_cdt_ntfctn": camt_054,
}

for file in sys.argv[1:]:
    root = document(file)
    name = next(name for name in READERS if getattr(root, name, None) is not None)
    rows = [{k: v for k, v in row.items() if v is not None} for row in READERS[name](getattr(root, name))]
    print(json.dumps(rows, ensure_ascii=False))
