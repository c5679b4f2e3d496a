import os
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

client_id, client_secret = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
scope = "d6b7c858-55fa-4d04-85a6-131af690abd4/.default"
session = OAuth2Session(client=BackendApplicationClient(client_id, scope=scope))
url = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token"
print(session.fetch_token(url, client_id=client_id, client_secret=client_secret)["access_token"])
