"""A real mail server (aiosmtpd) whose mails are parsed by Python's own parser: one JSON line a mail on standard output.

    server.py (plain|starttls|tls) CERTIFICATE KEY [USER PASSWORD]
"""
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "file": part.get_filename(),
                "content": part.get_content() if part.get_content_maintype() == "text" else None,
                "defects": [repr(d) for d in part.defects],
            }
            for part in mail.walk()
            if not part.is_multipart()
        ]
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "defects": [repr(d) for d in mail.defects] + [repr(d) for _, v in mail.items() for d in v.defects],
            "parts": parts,
            "tls": session.ssl is not None or kind == "tls",
            "user": session.auth_data and session.auth_data.login.decode(),
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


kind, certificate, key, *login = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, data):
    good = [data.login.decode(), data.password.decode()] == login
    return AuthResult(success=good, handled=False, auth_data=data if good else None)


def smtp():
    return SMTP(
        Handler(),
        hostname="localhost",
        enable_SMTPUTF8=True,
        tls_context=context if kind == "starttls" else None,
        require_starttls=kind == "starttls",
        authenticator=authenticate if login else None,
        auth_required=bool(login),
        auth_require_tls=False,
    )


async def main():
    server = await asyncio.get_running_loop().create_server(
        smtp, "127.0.0.1", 0, ssl=context if kind == "tls" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
