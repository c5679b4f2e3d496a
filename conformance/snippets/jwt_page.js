// The page's side of the JWT way: it has logged in at your OpenID provider, whose library gives it an access token.

const url = window.GET_AUTHORIZATION ?? 'http://127.0.0.1:5050/getAuthorization';

async function getAuthorization(callback) {
  const token = await accessToken(); // of the provider's library
  const response = await axios.get(url, { headers: { Authorization: `Bearer ${token}` } });
  callback({
    Token: response.data.Credentials.Token,
    TmpSecretId: response.data.Credentials.TmpSecretId,
    TmpSecretKey: response.data.Credentials.TmpSecretKey,
    ExpiredTime: response.data.ExpiredTime,
  });
}
