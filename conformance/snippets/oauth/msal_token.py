import os
import msal

client = msal.ConfidentialClientApplication(
    os.environ["CLIENT_ID"],
    client_credential=os.environ["CLIENT_SECRET"],
    authority="https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054",
    instance_discovery=False,
)
answer = client.acquire_token_for_client(["d6b7c858-55fa-4d04-85a6-131af690abd4/.default"])
print(answer.get("access_token") or answer["error_description"])
