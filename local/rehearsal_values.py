"""What a stack's references become: resources that are there, exports of other stacks, and made-up identifiers."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from local.intrinsics import TemplateError
from local.rehearsal_schemas import made_up
from local.rehearsal_templates import EXPORT, Known, Written

# Identifiers whose form a template's patterns ask for. The first letters and digits of a hash fill them.
_FORMS = {
    ("AWS::CloudFront::Distribution", ""): "E{upper:.13}",
    ("AWS::CloudFront::Distribution", "DomainName"): "d{hash:.13}.cloudfront.net",
    ("AWS::CloudFront::CloudFrontOriginAccessIdentity", ""): "E{upper:.13}",
    ("AWS::CloudFront::CloudFrontOriginAccessIdentity", "S3CanonicalUserId"): "{hash}",
    ("AWS::ApiGatewayV2::Api", ""): "{hash:.10}",
    ("AWS::ApiGatewayV2::Api", "ApiEndpoint"): "https://{hash:.10}.execute-api.{region}.amazonaws.com",
    ("AWS::Lambda::Url", "FunctionUrl"): "https://{hash:.32}.lambda-url.{region}.on.aws/",
    ("AWS::S3::Bucket", ""): "rehearsed-{hash:.20}",
    ("AWS::S3::MultiRegionAccessPoint", "Alias"): "m{hash:.12}.mrap",
}


def identifier(kind: str, stack: str, name: str, attribute: str, region: str) -> str:
    """For what the emulator does not make: the same for the same place in the same stack."""
    digest = hashlib.sha256(f"{stack} {name} {region}".encode()).hexdigest()
    if form := _FORMS.get((kind, attribute)):
        return form.format(hash=digest, upper=digest.upper(), region=region)
    return made_up(kind, f"{name}-{digest[:8]}", attribute, region)


class Strict(Known):
    """Refuses a reference to what is not there, where Known takes its name; remembers what is imported."""

    def __init__(self, written: Written, values: Mapping[str, Any]) -> None:
        super().__init__(written.document, written.parameters, written.region, values)
        self._resources = written.resources
        self.imported: set[str] = set()

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                self._known(str(argument))
            case "Fn::GetAtt":
                self._known(".".join(map(str, argument if isinstance(argument, list) else [argument])))
            case "Fn::ImportValue":
                exported = str(self.resolve(argument))
                if EXPORT + exported not in self._values:
                    raise TemplateError(f"No export named {exported} found")
                self.imported.add(exported)
            case "Fn::Contains":
                among, value = self.resolve(argument)
                return value in among
            case "Fn::EachMemberEquals":
                values, value = self.resolve(argument)
                return all(each == value for each in values)
            case "Fn::EachMemberIn":
                values, among = self.resolve(argument)
                return set(values) <= set(among)
        return super()._call(name, argument)

    def _known(self, reference: str) -> None:
        if reference not in self._values:
            raise TemplateError(f"Unresolved resource dependencies [{reference}] in the template")

    def _substitute(self, argument: Any) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        for name in re.findall(r"\$\{([^!}][^}]*)\}", text):
            if name not in extra:
                self._known(name)
        return super()._substitute(argument)


def stand_ins(written: Written) -> dict[str, str]:
    """For every reference to a resource its own name: to see what of a template changes before anything is made."""
    found = {}
    for name in written.present():
        found[name] = f"arn:aws:x:x:x:{name}/{name}"
    for name, attribute in written.asked():
        if name in found and attribute:
            found[f"{name}.{attribute}"] = f"https://x:x:x:{name}.{attribute}/{name}"
    return found
