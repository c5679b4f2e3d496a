import os
from authlib.integrations.requests_client import OAuth2Session

scope = "d6b7c858-55fa-4d04-85a6-131af690abd4/.default"
session = OAuth2Session(os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"], scope=scope)
url = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token"
print(session.fetch_token(url, grant_type="client_credentials")["access_token"])
