import com.taobao.api.ApiRuleException;
import com.taobao.api.BaseTaobaoRequest;
import com.taobao.api.TaobaoObject;
import com.taobao.api.internal.mapping.ApiField;
import com.taobao.api.internal.util.TaobaoHashMap;
import com.taobao.api.internal.util.json.JSONWriter;
import java.util.Map;

/** The request as the platform's generator writes it, for whoever's SDK package lacks it. */
public class AlibabaSecurityDeepvisionProxySecurityCommonTokenGetRequest
        extends BaseTaobaoRequest<AlibabaSecurityDeepvisionProxySecurityCommonTokenGetResponse> {
    private String param;

    public void setParam(SecurityTokenQueryParam param) {
        // snake_case names, nulls left out.
        this.param = new JSONWriter(false, true).write(param);
    }

    public String getApiMethodName() {
        return "alibaba.security.deepvision.proxy.security.common.token.get";
    }

    public Map<String, String> getTextParams() {
        TaobaoHashMap fields = new TaobaoHashMap();
        fields.put("param", param);
        if (udfParams != null) {
            fields.putAll(udfParams);
        }
        return fields;
    }

    public Class<AlibabaSecurityDeepvisionProxySecurityCommonTokenGetResponse> getResponseClass() {
        return AlibabaSecurityDeepvisionProxySecurityCommonTokenGetResponse.class;
    }

    public void check() throws ApiRuleException {
    }

    public static class SecurityTokenQueryParam extends TaobaoObject {
        private static final long serialVersionUID = 1L;

        @ApiField("op_poi_id")
        private String opPoiId;
        @ApiField("op_tenant_code")
        private String opTenantCode;
        @ApiField("product_code")
        private String productCode;
        @ApiField("request_id")
        private String requestId;
        @ApiField("scene_code")
        private String sceneCode;
        @ApiField("token")
        private String token;
        @ApiField("usage_scene")
        private String usageScene;

        public String getOpPoiId() {
            return opPoiId;
        }

        public void setOpPoiId(String opPoiId) {
            this.opPoiId = opPoiId;
        }

        public String getOpTenantCode() {
            return opTenantCode;
        }

        public void setOpTenantCode(String opTenantCode) {
            this.opTenantCode = opTenantCode;
        }

        public String getProductCode() {
            return productCode;
        }

        public void setProductCode(String productCode) {
            this.productCode = productCode;
        }

        public String getRequestId() {
            return requestId;
        }

        public void setRequestId(String requestId) {
            this.requestId = requestId;
        }

        public String getSceneCode() {
            return sceneCode;
        }

        public void setSceneCode(String sceneCode) {
            this.sceneCode = sceneCode;
        }

        public String getToken() {
            return token;
        }

        public void setToken(String token) {
            this.token = token;
        }

        public String getUsageScene() {
            return usageScene;
        }

        public void setUsageScene(String usageScene) {
            this.usageScene = usageScene;
        }
    }
}
