// The page's side of the session way, with Daypass on another port or name of the same site: the one change to the
// sample is that the browser is told to send the cookie.

const url = window.GET_AUTHORIZATION ?? 'http://127.0.0.1:5050/getAuthorization';

async function getAuthorization(callback) {
  const response = await axios.get(url, { withCredentials: true });
  callback({
    Token: response.data.Credentials.Token,
    TmpSecretId: response.data.Credentials.TmpSecretId,
    TmpSecretKey: response.data.Credentials.TmpSecretKey,
    ExpiredTime: response.data.ExpiredTime,
  });
}
