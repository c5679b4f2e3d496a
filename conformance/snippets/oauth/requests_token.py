import os
import requests

form = {
    "grant_type": "client_credentials",
    "client_id": os.environ["CLIENT_ID"],
    "client_secret": os.environ["CLIENT_SECRET"],
    "scope": "d6b7c858-55fa-4d04-85a6-131af690abd4/.default",
}
url = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token"
print(requests.post(url, data=form, timeout=10).json()["access_token"])
