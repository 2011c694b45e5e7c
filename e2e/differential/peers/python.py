"""PyJWT or joserfc: reads one line of settings and then cases, and answers each with a line.

Both are set up as their documentation recommends: issuer, audience, algorithms, leeway, and the
claims that must be there.
"""

import json
import sys
import warnings


def pyjwt(setting):
    import jwt
    import jwt.api_jwt
    from jwt import PyJWKClient

    class Now(jwt.api_jwt.datetime):
        """The clock of every case; the library has no setting for it."""

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(setting["now"], tz)

    jwt.api_jwt.datetime = Now

    class Keys(PyJWKClient):
        """The client that its documentation recommends, with the key set in place of the network."""

        def __init__(self, text):
            super().__init__("https://issuer.example/keys", cache_jwk_set=False)
            self.text = text

        def fetch_data(self):
            return json.loads(self.text)

    def verify(key_set, token):
        key = Keys(key_set).get_signing_key_from_jwt(token)
        jwt.decode(
            token,
            key,
            algorithms=setting["algorithms"],
            audience=setting["audience"],
            issuer=setting["issuers"],
            leeway=setting["leeway"],
            options={"require": ["exp", "iss", "aud"]},
        )

    return verify


def joserfc(setting):
    from joserfc import jwt
    from joserfc.jwk import KeySet

    claims = jwt.JWTClaimsRegistry(
        now=setting["now"],
        leeway=setting["leeway"],
        iss={"essential": True, "values": setting["issuers"]},
        aud={"essential": True, "value": setting["audience"]},
        exp={"essential": True},
    )
    # Ed25519 is the name of EdDSA's only algorithm here (RFC 9864).
    algorithms = [*setting["algorithms"], "Ed25519"]

    def verify(key_set, token):
        keys = KeySet.import_key_set(json.loads(key_set))
        claims.validate(jwt.decode(token, keys, algorithms=algorithms).claims)

    return verify


def main():
    warnings.simplefilter("ignore")
    lines = iter(sys.stdin.buffer)
    setting = json.loads(next(lines))
    verify = {"PyJWT": pyjwt, "joserfc": joserfc}[sys.argv[1]](setting)
    for line in lines:
        case = json.loads(line)
        try:
            verify(case["key_set"], case["token"])
            answer = {"accepted": True}
        except Exception as error:  # whatever it is, the token was not accepted
            answer = {"accepted": False, "why": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), flush=True)


main()
