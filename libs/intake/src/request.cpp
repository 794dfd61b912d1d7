#include "request.hpp"

namespace tapir::intake {

int status_of(jose::HttpSignatureError error) {
    using enum jose::HttpSignatureError;
    switch (error) {
        case signature_missing:
        case signature_input_missing:
        case digest_missing:
            return 422;
        case signature_input_malformed:
        case algorithm_missing:
        case algorithm_unknown:
        case algorithm_not_of_key:
        case key_id_malformed:
        case digest_malformed:
            return 400;
        default:
            return 401;
    }
}

Result<std::string, Refusal> signer_of(const net::HttpRequest& request, const jose::KeySet& keys,
                                       UtcTime now, bool certificates) {
    std::vector<jose::FieldView> fields;
    for (const auto& field : request.fields) {
        fields.push_back({field.name, field.value});
    }
    const jose::RequestView view{.method = request.method,
                                 .path = request.path,
                                 .query = request.query,
                                 .fields = fields,
                                 .body = request.body};
    const auto verified =
        jose::verify_request(view, keys, now, jose::SignaturePolicy::interoperable());
    if (!verified) {
        const auto error = verified.error();
        return fail(Refusal{.status = status_of(error),
                            .reason = jose::to_string(error),
                            .detail = jose::to_error(error).what()});
    }
    if (certificates && request.client_name != verified->kid) {
        return fail(Refusal{.status = 403,
                            .reason = "certificate_name",
                            .detail = "the certificate is not of the key id that signed"});
    }
    return verified->kid;
}

Result<void, Refusal> check_profile(const net::HttpRequest& request, bool accept_compatible) {
    if (request.fields.find("Tapir-Profile") == "compatible" && !accept_compatible) {
        return fail(Refusal{.status = 403,
                            .reason = "compatible_profile",
                            .detail = "this core takes nothing of the profile 'compatible'"});
    }
    return {};
}

Result<std::optional<std::string>, Refusal> single_field(const net::HttpRequest& request,
                                                         std::string_view name) {
    const auto values = request.fields.all(name);
    if (values.size() > 1) {
        return fail(Refusal{.status = 400,
                            .reason = "field_repeated",
                            .detail = fmt::format("more than one {}", name)});
    }
    return values.empty() ? std::nullopt : std::optional<std::string>(values.front());
}

}  // namespace tapir::intake
