"""Keys and certificates of one lab, made anew at each start by the openssl command."""

import base64
import json
import subprocess


def _openssl(*words, stdin=None):
    done = subprocess.run(["openssl", *[str(w) for w in words]], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _b64url(octets):
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def _write(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def signing_key(folder, kid):
    """Makes KID.jwk (private, 0600) and KID.public.jwk in `folder`; returns the two paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pem = _openssl("genpkey", "-algorithm", "ED25519")
    # The last 32 octets of both encodings are the key itself (RFC 8410).
    seed = _openssl("pkey", "-outform", "DER", stdin=pem)[-32:]
    public = _openssl("pkey", "-pubout", "-outform", "DER", stdin=pem)[-32:]
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": _b64url(public)}
    _write(folder / f"{kid}.public.jwk", json.dumps(jwk), 0o644)
    _write(folder / f"{kid}.jwk", json.dumps({**jwk, "d": _b64url(seed)}))
    return folder / f"{kid}.jwk", folder / f"{kid}.public.jwk"


class Authority:
    """A certificate authority that lives as long as the lab."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=tapir lab authority", "-keyout", self._key, "-out", self.certificate)

    def issue(self, name):
        """Certificate and key for `name`; it is also good for the loopback address. Returns both paths."""
        key, request, cert, extensions = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        key.chmod(0o600)
        extensions.write_text(f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n"
                              "extendedKeyUsage=clientAuth,serverAuth\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-days", "2", "-extfile", extensions, "-out", cert)
        return cert, key
