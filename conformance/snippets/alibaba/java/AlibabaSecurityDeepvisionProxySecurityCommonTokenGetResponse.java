import com.taobao.api.TaobaoObject;
import com.taobao.api.TaobaoResponse;
import com.taobao.api.internal.mapping.ApiField;
import com.taobao.api.internal.mapping.ApiListField;
import java.util.List;

/** The response as the platform's generator writes it. */
public class AlibabaSecurityDeepvisionProxySecurityCommonTokenGetResponse extends TaobaoResponse {
    private static final long serialVersionUID = 1L;

    @ApiField("message")
    private String message;
    @ApiField("resp_code")
    private Long respCode;
    @ApiField("resp_request_id")
    private String respRequestId;
    @ApiField("resp_success")
    private Boolean respSuccess;
    @ApiField("result")
    private SecurityTokenCredential result;

    public String getMessage() {
        return message;
    }

    public void setMessage(String message) {
        this.message = message;
    }

    public Long getRespCode() {
        return respCode;
    }

    public void setRespCode(Long respCode) {
        this.respCode = respCode;
    }

    public String getRespRequestId() {
        return respRequestId;
    }

    public void setRespRequestId(String respRequestId) {
        this.respRequestId = respRequestId;
    }

    public Boolean getRespSuccess() {
        return respSuccess;
    }

    public void setRespSuccess(Boolean respSuccess) {
        this.respSuccess = respSuccess;
    }

    public SecurityTokenCredential getResult() {
        return result;
    }

    public void setResult(SecurityTokenCredential result) {
        this.result = result;
    }

    public static class SecurityTokenCredential extends TaobaoObject {
        private static final long serialVersionUID = 1L;

        @ApiField("access_key_id")
        private String accessKeyId;
        @ApiField("access_key_secret")
        private String accessKeySecret;
        @ApiField("end_point_internal")
        private String endPointInternal;
        @ApiField("end_point_public")
        private String endPointPublic;
        @ApiField("expiration")
        private String expiration;
        @ApiField("field_id")
        private String fieldId;
        @ApiField("policy")
        private Policy policy;
        @ApiField("product_code")
        private String productCode;
        @ApiField("scene_code")
        private String sceneCode;
        @ApiField("tenant_code")
        private String tenantCode;
        @ApiField("token")
        private String token;

        public String getAccessKeyId() {
            return accessKeyId;
        }

        public void setAccessKeyId(String accessKeyId) {
            this.accessKeyId = accessKeyId;
        }

        public String getAccessKeySecret() {
            return accessKeySecret;
        }

        public void setAccessKeySecret(String accessKeySecret) {
            this.accessKeySecret = accessKeySecret;
        }

        public String getEndPointInternal() {
            return endPointInternal;
        }

        public void setEndPointInternal(String endPointInternal) {
            this.endPointInternal = endPointInternal;
        }

        public String getEndPointPublic() {
            return endPointPublic;
        }

        public void setEndPointPublic(String endPointPublic) {
            this.endPointPublic = endPointPublic;
        }

        public String getExpiration() {
            return expiration;
        }

        public void setExpiration(String expiration) {
            this.expiration = expiration;
        }

        public String getFieldId() {
            return fieldId;
        }

        public void setFieldId(String fieldId) {
            this.fieldId = fieldId;
        }

        public Policy getPolicy() {
            return policy;
        }

        public void setPolicy(Policy policy) {
            this.policy = policy;
        }

        public String getProductCode() {
            return productCode;
        }

        public void setProductCode(String productCode) {
            this.productCode = productCode;
        }

        public String getSceneCode() {
            return sceneCode;
        }

        public void setSceneCode(String sceneCode) {
            this.sceneCode = sceneCode;
        }

        public String getTenantCode() {
            return tenantCode;
        }

        public void setTenantCode(String tenantCode) {
            this.tenantCode = tenantCode;
        }

        public String getToken() {
            return token;
        }

        public void setToken(String token) {
            this.token = token;
        }
    }

    public static class Policy extends TaobaoObject {
        private static final long serialVersionUID = 1L;

        @ApiListField("statement")
        @ApiField("datas")
        private List<Datas> statement;
        @ApiField("version")
        private String version;

        public List<Datas> getStatement() {
            return statement;
        }

        public void setStatement(List<Datas> statement) {
            this.statement = statement;
        }

        public String getVersion() {
            return version;
        }

        public void setVersion(String version) {
            this.version = version;
        }
    }

    public static class Datas extends TaobaoObject {
        private static final long serialVersionUID = 1L;

        @ApiListField("action")
        @ApiField("string")
        private List<String> action;
        @ApiField("effect")
        private String effect;
        @ApiListField("resource")
        @ApiField("string")
        private List<String> resource;

        public List<String> getAction() {
            return action;
        }

        public void setAction(List<String> action) {
            this.action = action;
        }

        public String getEffect() {
            return effect;
        }

        public void setEffect(String effect) {
            this.effect = effect;
        }

        public List<String> getResource() {
            return resource;
        }

        public void setResource(List<String> resource) {
            this.resource = resource;
        }
    }
}
