/* The request for a token, signed by hmac-sha256. Prints a form, which curl sends:
 *
 *     cc token.c -o token -lcrypto
 *     ./token | curl --data-binary @- http://127.0.0.1:5050/router/rest
 *
 * Needs: APP_KEY, APP_SECRET, and what the app may ask for: TENANT_CODE, POI_ID. */

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct parameter {
    const char *name, *value;
};

/* HMAC-SHA256 over every name and value, nothing between them; upper-case hex. Sorted by name beforehand. */
static int sign(const char *secret, const struct parameter *all, size_t count, char out[65]) {
    char base[2048] = "";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        int more = snprintf(base + used, sizeof base - used, "%s%s", all[i].name, all[i].value);
        if (more < 0 || (size_t)more >= sizeof base - used) return -1;
        used += (size_t)more;
    }
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)base, used, digest, &length)) return -1;
    for (unsigned int i = 0; i < length; i++) snprintf(out + 2 * i, 3, "%02X", digest[i]);
    return 0;
}

/* One field of the form. The signature was over the bytes before this encoding. */
static void print_field(const char *before, const char *name, const char *value) {
    printf("%s%s=", before, name);
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) printf("%%%02X", *at);
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "set %s\n", name);
        exit(2);
    }
    return value;
}

int main(void) {
    /* The gateway reads the stamp as GMT+8: eight hours on, written as if it were UTC. */
    time_t there = time(NULL) + 8 * 3600;
    char stamp[20], param[512], signature[65];
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", gmtime(&there));
    int length = snprintf(param, sizeof param,
                          "{\"product_code\":\"oss\",\"scene_code\":\"app-upload\",\"usage_scene\":\"upload\","
                          "\"op_tenant_code\":\"%s\",\"op_poi_id\":\"%s\"}",
                          setting("TENANT_CODE"), setting("POI_ID"));
    if (length < 0 || (size_t)length >= sizeof param) return 2;

    const struct parameter all[] = {
        {"app_key", setting("APP_KEY")},
        {"format", "json"},
        {"method", "alibaba.security.deepvision.proxy.security.common.token.get"},
        {"param", param},
        {"sign_method", "hmac-sha256"},
        {"timestamp", stamp},
        {"v", "2.0"},
    };
    size_t count = sizeof all / sizeof *all;
    if (sign(setting("APP_SECRET"), all, count, signature)) return 2;
    for (size_t i = 0; i < count; i++) print_field(i ? "&" : "", all[i].name, all[i].value);
    print_field("&", "sign", signature);
    return 0;
}
