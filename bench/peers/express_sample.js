// The Express sample of Tencent Cloud's documentation for `getAuthorization`, as a peer under measurement.
//
// Restored, because the page has lost it: the indentation, the quotes inside the policy's text (which the page shows
// behind two backslashes, where one is meant), and the import of the SDK (of which the package for STS alone serves).
//
// Set, because it runs here: the key, where STS is (http instead of https, and the address of the stand-in), and
// where it listens. All come from the environment. Nothing else differs, so what looks odd is the sample's own.

const tencentcloud = require('tencentcloud-sdk-nodejs-sts');
let express = require('express')
let server = express();
const cors = require('cors');
server.use(cors());

server.get('/getAuthorization', async (req, resp) => {
  const StsClient = tencentcloud.sts.v20180813.Client;
  const clientConfig = {
    credential: {
      secretId: process.env.SECRET_ID,
      secretKey: process.env.SECRET_KEY,
    },
    region: "ap-beijing",
    profile: { httpProfile: { protocol: "http://", endpoint: process.env.STS } },
  };
  const client = new StsClient(clientConfig);
  const params = {
    "Name": "soe",
    "Policy": "{\"version\": \"2.0\",\"statement\": {\"effect\": \"allow\", \"action\":[\"soe:TransmitOralProcessWithInit\"],\"resource\": \"*\"}}"
  };
  client.GetFederationToken(params).then(
    (data) => {
      resp.json(data)
    },
    (err) => {
      resp.json(err)
    }
  );
})

server.listen(process.env.PORT, '127.0.0.1', () => {
  console.log('ready')
})

module.exports = server;
