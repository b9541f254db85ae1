/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS over the I/O calls, with OpenSSL 3. OpenSSL works on two buffers in memory (BIOs) and never sees the socket; a
 * loop moves the bytes between the buffers and zyntax_io_read and zyntax_io_write.
 *
 * Rules it relies on: a call of OpenSSL is made once and its outcome is kept in the state until everything that it
 * wrote has been sent, so a spurious poll repeats nothing. One op word serves reading and writing, as one is active at
 * a time.
 *
 * A client and a server talk over a loopback socket, with a certificate that is made at the start and that the client
 * verifies. In the second conversation the client closes the connection without TLS's close_notify: the server must
 * not take that for the end of the message, as anybody on the way could have cut it.
 *
 * Output, in any order:
 *     server: hello, server
 *     client: hello, client
 *     client: closed in order
 *     server: closed in order
 *     server: hello, cut
 *     client: hello, client
 *     client: left without close_notify
 *     server: the stream was cut: EPROTO
 */
#include "../system.h"
#include "zyntax_async_runtime.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a TLS stream: one operation at a time ---- */

typedef enum TlsStep { TLS_IDLE, TLS_SEND, TLS_RECEIVE } TlsStep;

typedef struct Tls {
    zyntax_io *io;
    SSL *ssl;                /* owns the BIOs */
    BIO *received, *to_send; /* ciphertext */
    zyntax_op op;
    TlsStep step;
    int wants_more;  /* the call of OpenSSL has not ended: it is made again after the bytes were moved */
    int64_t outcome; /* of that call */
    size_t sent, length;
    char buffer[4096]; /* ciphertext on its way: out in TLS_SEND, in in TLS_RECEIVE */
} Tls;

/* One call of OpenSSL. 1 or more: its success; 0: the peer has closed in order. */
typedef int (*TlsCall)(SSL *ssl, void *data, int length);
static int call_read(SSL *ssl, void *data, int length) { return SSL_read(ssl, data, length); }
static int call_write(SSL *ssl, void *data, int length) { return SSL_write(ssl, data, length); }
static int call_handshake(SSL *ssl, void *data, int length) {
    (void)data, (void)length;
    return SSL_do_handshake(ssl);
}
static int call_shutdown(SSL *ssl, void *data, int length) {
    (void)data, (void)length;
    return SSL_shutdown(ssl);
}

/* Takes the stream over, and `io` also when it fails. Returns 0 or ZYNTAX_ENOMEM. */
static int32_t tls_open(Tls *s, SSL_CTX *context, zyntax_io *io, int is_client) {
    *s = (Tls){.io = io, .ssl = SSL_new(context), .received = BIO_new(BIO_s_mem()), .to_send = BIO_new(BIO_s_mem())};
    if (s->ssl == NULL || s->received == NULL || s->to_send == NULL) {
        BIO_free(s->received);
        BIO_free(s->to_send);
        return ZYNTAX_ENOMEM; /* tls_close does the rest */
    }
    SSL_set_bio(s->ssl, s->received, s->to_send);
    if (is_client) SSL_set_connect_state(s->ssl);
    else SSL_set_accept_state(s->ssl);
    return !is_client || SSL_set1_host(s->ssl, "localhost") == 1 ? 0 : ZYNTAX_ENOMEM;
}

static void tls_close(Tls *s) {
    zyntax_op_cancel(&s->op);
    if (s->io != NULL) zyntax_io_close(s->io);
    SSL_free(s->ssl);
    *s = (Tls){0};
}

/* The queue of errors belongs to the thread, so it is emptied before each call and looked at right after. */
static void tls_call(Tls *s, TlsCall call, void *data, int length) {
    ERR_clear_error();
    int result = call(s->ssl, data, length);
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, result);
    if (call == call_shutdown && result == 0)
        error = SSL_ERROR_WANT_READ; /* ours is written, the peer's has not come */
    s->wants_more = error == SSL_ERROR_WANT_READ;
    s->outcome = result > 0 ? result : error == SSL_ERROR_ZERO_RETURN ? 0 : ZYNTAX_EPROTO;
    s->sent = s->length = 0;
    s->step = TLS_SEND; /* also after a failure: an alert tells the peer */
}

/* Runs one call to its end. *result: as the call, or ZYNTAX_EPROTO, or an error of the socket. Call again with the same
 * arguments after POLL_PENDING. */
static PollStatus tls_poll(Tls *s, TlsCall call, void *data, int length, Waker *waker, int64_t *result) {
    int64_t n = 0;
    for (;;) {
        if (s->step == TLS_IDLE) tls_call(s, call, data, length);
        while (s->step == TLS_SEND) {
            if (s->sent == s->length) {
                int got = BIO_read(s->to_send, s->buffer, sizeof s->buffer);
                s->sent = 0;
                s->length = got > 0 ? (size_t)got : 0;
                if (s->length == 0) s->step = s->wants_more ? TLS_RECEIVE : TLS_IDLE;
                continue;
            }
            if (zyntax_io_write(s->io, &s->op, s->buffer + s->sent, s->length - s->sent, waker, &n) == POLL_PENDING)
                return POLL_PENDING;
            if (n < 0) goto failed;
            s->sent += (size_t)n;
        }
        if (s->step == TLS_IDLE) {
            *result = s->outcome;
            return POLL_READY;
        }
        if (zyntax_io_read(s->io, &s->op, s->buffer, sizeof s->buffer, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) goto failed;
        if (n == 0) BIO_set_mem_eof_return(s->received, 0); /* OpenSSL then tells an orderly end from a cut */
        else if (BIO_write(s->received, s->buffer, (int)n) != n) n = ZYNTAX_ENOMEM;
        if (n < 0) goto failed;
        s->step = TLS_IDLE;
    }
failed:
    s->step = TLS_IDLE;
    *result = s->wants_more || s->outcome >= 0 ? n : s->outcome;
    return POLL_READY;
}

/* ---- one end of a conversation: handshake, a message each way, the end ---- */

typedef struct Talk {
    Tls tls;
    const char *name;
    char message[32], answer[32];
    int is_client, cuts;
    uint32_t state_id;
    int64_t result;
} Talk;

static PollStatus talk_poll(FutureState state, Waker *waker) {
    Talk *s = state;
    if (s->state_id == 1) goto await_first;
    if (s->state_id == 2) goto await_second;
    if (s->state_id == 3) goto await_end;
    if (s->state_id == 4) goto await_shutdown;
    if (tls_poll(&s->tls, call_handshake, NULL, 0, waker, &s->result) == POLL_PENDING) return POLL_PENDING;
    if (s->result < 0) return POLL_READY;
    s->state_id = 1;
await_first: /* the client speaks first */
    if (tls_poll(&s->tls, s->is_client ? call_write : call_read, s->is_client ? s->message : s->answer,
                 s->is_client ? (int)strlen(s->message) : (int)sizeof s->answer - 1, waker, &s->result) == POLL_PENDING)
        return POLL_PENDING;
    if (s->result <= 0) return POLL_READY;
    s->state_id = 2;
await_second:
    if (tls_poll(&s->tls, s->is_client ? call_read : call_write, s->is_client ? s->answer : s->message,
                 s->is_client ? (int)sizeof s->answer - 1 : (int)strlen(s->message), waker, &s->result) == POLL_PENDING)
        return POLL_PENDING;
    if (s->result <= 0) return POLL_READY;
    printf("%s: %s\n", s->name, s->answer);
    s->state_id = s->is_client ? 4 : 3;
    if (s->is_client) goto await_shutdown;
await_end:
    if (tls_poll(&s->tls, call_read, s->answer, sizeof s->answer - 1, waker, &s->result) == POLL_PENDING)
        return POLL_PENDING;
    if (s->result != 0) return POLL_READY;
    s->state_id = 4;
await_shutdown:
    if (s->cuts) return POLL_READY;
    return tls_poll(&s->tls, call_shutdown, NULL, 0, waker, &s->result);
}

static void talk_drop(FutureState state, int32_t outcome) {
    Talk *s = state;
    if (outcome < 0) s->result = outcome;
    if (s->result < 0)
        printf("%s: %s: %s\n", s->name, s->state_id == 3 ? "the stream was cut" : "failed",
               zyntax_error_name(s->result));
    else printf("%s: %s\n", s->name, s->cuts ? "left without close_notify" : "closed in order");
    tls_close(&s->tls);
}

/* ---- the demonstration ---- */

/* A certificate of its own for "localhost", valid for an hour; *key is its key. NULL, and *key NULL, on failure. */
static X509 *make_certificate(EVP_PKEY **key) {
    X509 *x = X509_new();
    *key = EVP_EC_gen("P-256");
    if (x != NULL && *key != NULL && X509_set_version(x, 2) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), -60) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL &&
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
                                   -1, 0) == 1 &&
        X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 && X509_set_pubkey(x, *key) == 1 &&
        X509_sign(x, *key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    EVP_PKEY_free(*key);
    *key = NULL;
    return NULL;
}

/* Contexts for both sides. Returns 0 or ZYNTAX_EPROTO; SSL_CTX_free frees the contexts that were made. */
static int32_t make_contexts(SSL_CTX **server, SSL_CTX **client) {
    EVP_PKEY *key;
    X509 *certificate = make_certificate(&key);
    *server = SSL_CTX_new(TLS_server_method());
    *client = SSL_CTX_new(TLS_client_method());
    int made = certificate != NULL && *server != NULL && *client != NULL &&
               SSL_CTX_use_certificate(*server, certificate) == 1 && SSL_CTX_use_PrivateKey(*server, key) == 1 &&
               X509_STORE_add_cert(SSL_CTX_get_cert_store(*client), certificate) == 1;
    if (made) SSL_CTX_set_verify(*client, SSL_VERIFY_PEER, NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made ? 0 : ZYNTAX_EPROTO;
}

/* Starts one end; takes the socket over. */
static int32_t talk_start(zyntax_runtime *runtime, Talk *s, SSL_CTX *context, intptr_t fd) {
    zyntax_io *io;
    int32_t error = zyntax_io_open(runtime, fd, &io);
    if (error != 0) {
        system_close(fd);
        return error;
    }
    error = tls_open(&s->tls, context, io, s->is_client);
    if (error == 0 && zyntax_runtime_spawn_with(runtime, s, talk_poll, talk_drop, 0) == NULL) error = ZYNTAX_ENOMEM;
    if (error != 0) tls_close(&s->tls);
    return error;
}

static Talk server, client; /* when a run fails, their tasks end with the runtime, after `converse` has returned */

static int32_t converse(zyntax_runtime *runtime, SSL_CTX *server_context, SSL_CTX *client_context, int cuts) {
    intptr_t ends[2];
    server = (Talk){.name = "server", .message = "hello, client"};
    client = (Talk){.name = "client", .message = "hello, server", .is_client = 1, .cuts = cuts};
    if (cuts) memcpy(client.message, "hello, cut", sizeof "hello, cut");
    if (system_stream_pair(ends) != 0) return ZYNTAX_EIO;
    int32_t error = talk_start(runtime, &server, server_context, ends[0]);
    int32_t client_error = talk_start(runtime, &client, client_context, ends[1]);
    int32_t run_error = zyntax_runtime_run(runtime); /* an end without its peer reads the end of the stream */
    return error != 0 ? error : client_error != 0 ? client_error : run_error;
}

int main(void) {
    SSL_CTX *server_context = NULL, *client_context = NULL;
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? make_contexts(&server_context, &client_context) : ZYNTAX_ENOMEM;
    if (error == 0) error = converse(runtime, server_context, client_context, 0);
    if (error == 0) error = converse(runtime, server_context, client_context, 1);
    zyntax_runtime_destroy(runtime);
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    if (error != 0) fprintf(stderr, "tls: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
