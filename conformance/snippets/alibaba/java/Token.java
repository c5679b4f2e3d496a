import com.taobao.api.ApiException;
import com.taobao.api.DefaultTaobaoClient;
import com.taobao.api.TaobaoClient;
import com.taobao.api.internal.util.WebV2Utils;

/**
 * The token by the platform's client for Java.
 * Needs: APP_KEY, APP_SECRET, TOP_URL (http://127.0.0.1:5050/router/rest), and what the app may ask for; the way to
 * sign and the form of the answer may be given as arguments.
 */
public class Token {
    public static void main(String[] arguments) throws ApiException {
        String format = arguments.length > 0 ? arguments[0] : "json";
        String signMethod = arguments.length > 1 ? arguments[1] : "hmac-sha256";
        String url = System.getenv("TOP_URL");
        String appkey = System.getenv("APP_KEY");
        String secret = System.getenv("APP_SECRET");

        // The client's own setIgnoreSSLCheck sets what nothing reads; what sends checks no certificate until told so here.
        WebV2Utils.setIgnoreSSLCheck(false);
        WebV2Utils.setIgnoreHostCheck(false);
        TaobaoClient client = new DefaultTaobaoClient(url, appkey, secret, format, 2000, 5000, signMethod);
        if (arguments.length > 2) {
            ((DefaultTaobaoClient) client).setUseSimplifyJson(true);
        }
        AlibabaSecurityDeepvisionProxySecurityCommonTokenGetRequest req = new AlibabaSecurityDeepvisionProxySecurityCommonTokenGetRequest();
        AlibabaSecurityDeepvisionProxySecurityCommonTokenGetRequest.SecurityTokenQueryParam obj1 = new AlibabaSecurityDeepvisionProxySecurityCommonTokenGetRequest.SecurityTokenQueryParam();
        obj1.setProductCode("oss");
        obj1.setSceneCode("app-upload");
        obj1.setUsageScene("upload");
        obj1.setOpTenantCode(System.getenv("TENANT_CODE"));
        obj1.setOpPoiId(System.getenv("POI_ID"));
        req.setParam(obj1);
        AlibabaSecurityDeepvisionProxySecurityCommonTokenGetResponse rsp = client.execute(req);
        if (!rsp.isSuccess()) {
            System.err.println(rsp.getErrorCode() + " " + rsp.getMsg() + " " + rsp.getSubCode() + " " + rsp.getSubMsg());
            System.exit(1);
        }
        System.out.println(rsp.getResult().getAccessKeyId() + " " + rsp.getResult().getExpiration());
        System.out.println(rsp.getResult().getPolicy().getStatement().get(0).getResource());
    }
}
