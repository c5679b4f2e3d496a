<?php
// The token by PHP alone, signed by hmac-sha256.
// Needs: APP_KEY, APP_SECRET, TOP_URL (http://127.0.0.1:5050/router/rest), and what the app may ask for.

function security_token(string $store): array
{
    // All values are texts: the vendor's client leaves numbers out of the signature.
    $fields = [
        'method' => 'alibaba.security.deepvision.proxy.security.common.token.get',
        'app_key' => getenv('APP_KEY'),
        'timestamp' => (new DateTime('now', new DateTimeZone('+08:00')))->format('Y-m-d H:i:s'),
        'v' => '2.0',
        'format' => 'json',
        'sign_method' => 'hmac-sha256',
        'param' => json_encode([
            'product_code' => 'oss',
            'scene_code' => 'app-upload',
            'usage_scene' => 'upload',
            'op_tenant_code' => getenv('TENANT_CODE'),
            'op_poi_id' => $store,
        ]),
    ];
    ksort($fields, SORT_STRING);
    $base = '';
    foreach ($fields as $name => $value) {
        $base .= $name . $value;
    }
    $fields['sign'] = strtoupper(hash_hmac('sha256', $base, getenv('APP_SECRET')));
    $answer = file_get_contents(getenv('TOP_URL'), false, stream_context_create(['http' => [
        'method' => 'POST',
        'header' => 'Content-Type: application/x-www-form-urlencoded',
        'content' => http_build_query($fields),
        'timeout' => 5,
    ]]));
    $answer = json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
    if (isset($answer['error_response'])) {
        $error = $answer['error_response'];
        throw new RuntimeException(
            "{$error['code']} {$error['msg']} " . ($error['sub_code'] ?? '') . ' ' . ($error['sub_msg'] ?? '')
        );
    }
    return $answer['alibaba_security_deepvision_proxy_security_common_token_get_response']['result'];
}

try {
    echo json_encode(security_token(getenv('POI_ID'))), "\n";
} catch (RuntimeException $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
