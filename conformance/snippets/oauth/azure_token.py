import os
from azure.identity import ClientSecretCredential

credential = ClientSecretCredential(
    "387c56a8-cf86-45de-b9f5-b4de88cac054",
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"],
    authority="https://pass.example.com",
    disable_instance_discovery=True,
)
print(credential.get_token("d6b7c858-55fa-4d04-85a6-131af690abd4/.default").token)
