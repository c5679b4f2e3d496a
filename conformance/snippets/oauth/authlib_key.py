import os
import pathlib
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT

url = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token"
session = OAuth2Session(
    os.environ["CLIENT_ID"],
    pathlib.Path("reports.key").read_text(),
    scope="d6b7c858-55fa-4d04-85a6-131af690abd4/.default",
    token_endpoint_auth_method="private_key_jwt",
)
session.register_client_auth_method(PrivateKeyJWT(url))
print(session.fetch_token(url, grant_type="client_credentials")["access_token"])
