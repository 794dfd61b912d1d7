// Beast's parser, filling our HttpRequest as the octets come: fields in the order sent, and a body
// that never grows past its limit.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "tapir/net/http.hpp"

namespace tapir::net {

class HttpRequestParser final : public boost::beast::http::basic_parser<true> {
    using View = boost::beast::string_view;
    using ErrorCode = boost::beast::error_code;

public:
    HttpRequestParser() {
        header_limit(static_cast<std::uint32_t>(http_header_size_max));
        // Ours is applied below: Beast's would refuse before the route is known.
        body_limit(boost::none);
    }

    HttpRequest& request() { return request_; }
    void set_body_size_max(std::size_t size) { body_size_max_ = size; }

private:
    static std::string_view text(View view) { return {view.data(), view.size()}; }

    ErrorCode take(View body) {
        if (body.size() > body_size_max_ - request_.body.size()) {
            return boost::beast::http::error::body_limit;
        }
        append(request_.body, text(body));
        return {};
    }

    void on_request_impl(boost::beast::http::verb /*method*/, View method, View target,
                         int /*version*/, ErrorCode& /*error*/) override {
        request_.method = text(method);
        set_target(request_, text(target));
    }
    void on_response_impl(int /*code*/, View /*reason*/, int /*version*/,
                          ErrorCode& /*error*/) override {}
    void on_field_impl(boost::beast::http::field /*name*/, View name, View value,
                       ErrorCode& /*error*/) override {
        request_.fields.add(text(name), text(value));
    }
    void on_header_impl(ErrorCode& /*error*/) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                           ErrorCode& /*error*/) override {}
    std::size_t on_body_impl(View body, ErrorCode& error) override {
        error = take(body);
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t /*size*/, View /*extensions*/,
                              ErrorCode& /*error*/) override {}
    std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, View body, ErrorCode& error) override {
        error = take(body);
        return body.size();
    }
    void on_finish_impl(ErrorCode& /*error*/) override {}

    HttpRequest request_;
    std::size_t body_size_max_ = 0;
};

}  // namespace tapir::net
