import os
import pathlib
import msal

client = msal.ConfidentialClientApplication(
    os.environ["CLIENT_ID"],
    client_credential={
        "private_key": pathlib.Path("reports.key").read_text(),
        "public_certificate": pathlib.Path("reports.pem").read_text(),
    },
    authority="https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054",
    instance_discovery=False,
)
answer = client.acquire_token_for_client(["d6b7c858-55fa-4d04-85a6-131af690abd4/.default"])
print(answer.get("access_token") or answer["error_description"])
