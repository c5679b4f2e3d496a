// The page's side of the ticket way. The first call shows the application's ticket; every later one shows what the
// answer before it gave for the next, so that a lesson of hours needs one ticket.

const url = window.GET_AUTHORIZATION ?? 'http://127.0.0.1:5050/getAuthorization';
let next;

async function getAuthorization(callback) {
  const ticket = next ?? (await axios.get('/ticket')).data.ticket;
  next = undefined; // each is good once
  const response = await axios.get(url, { headers: { Authorization: `Ticket ${ticket}` } });
  next = response.headers['daypass-refresh'];
  callback({
    Token: response.data.Credentials.Token,
    TmpSecretId: response.data.Credentials.TmpSecretId,
    TmpSecretKey: response.data.Credentials.TmpSecretKey,
    ExpiredTime: response.data.ExpiredTime,
  });
}
