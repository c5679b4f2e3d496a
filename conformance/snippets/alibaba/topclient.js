// The token by npm's node-taobao-topclient.
// Needs: APP_KEY, APP_SECRET, TOP_URL (http://127.0.0.1:5050/router/rest), and what the app may ask for.

const TopClient = require('node-taobao-topclient').default;
const { APP_KEY, APP_SECRET, TOP_URL, TENANT_CODE, POI_ID } = process.env;

const client = new TopClient({ appkey: APP_KEY, appsecret: APP_SECRET, REST_URL: TOP_URL });

async function securityToken(store) {
  const { result } = await client.execute('alibaba.security.deepvision.proxy.security.common.token.get', {
    // Milliseconds have no time zone. Without this the client stamps local time, which is read as GMT+8.
    timestamp: Date.now(),
    param: {
      product_code: 'oss',
      scene_code: 'app-upload',
      usage_scene: 'upload',
      op_tenant_code: TENANT_CODE,
      op_poi_id: store,
    },
  });
  return result;
}

securityToken(POI_ID).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    // The sub message says what to do; the client leaves it out of `message` where there is no sub code.
    const { code, msg, sub_code, sub_msg } = error.data?.error_response ?? { msg: error.message };
    console.error(code, msg, sub_code ?? '', sub_msg ?? '');
    process.exitCode = 1;
  },
);
