// The token by npm's topsdk.
// Needs: APP_KEY, APP_SECRET, TOP_URL (http://127.0.0.1:5050/router/rest), and what the app may ask for.

const TopClient = require('topsdk');
const { APP_KEY, APP_SECRET, TOP_URL, TENANT_CODE, POI_ID } = process.env;

// Its list of methods is old and lacks this one, so its validators must be off.
const client = new TopClient(APP_KEY, APP_SECRET, { endpoint: TOP_URL, useValidators: false });

async function securityToken(store) {
  const { result } = await client.execute('alibaba.security.deepvision.proxy.security.common.token.get', {
    timestamp: Date.now(),
    // A text, not an object: it would sign "[object Object]" and get code 25.
    param: JSON.stringify({
      product_code: 'oss',
      scene_code: 'app-upload',
      usage_scene: 'upload',
      op_tenant_code: TENANT_CODE,
      op_poi_id: store,
    }),
  });
  return result;
}

securityToken(POI_ID).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error.data ?? error.message);
    process.exitCode = 1;
  },
);
