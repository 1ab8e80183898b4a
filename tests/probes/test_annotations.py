"""Annotation files: regions computed by hand, real files' conventions, and files of bad will."""

import json

import numpy as np
import pytest

from vizcallbacks.probes import annotation_files
from vizcallbacks.probes.annotations import read_annotations

VOC = """<annotation>
  <folder>JPEGImages</folder><filename>{name}</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
  <object><name>cat</name><pose>Left</pose><difficult>0</difficult>
    <bndbox><xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></part>
  </object>
  <object><name>tag</name>
    <bndbox><xmin>8.0</xmin><ymin>1</ymin><xmax>8</xmax><ymax>1</ymax></bndbox>
  </object>
</annotation>"""


def voc(path, name="a.jpg", width=8, height=5):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(VOC.format(name=name, width=width, height=height), encoding="utf-8")
    return path


def coco(**more):
    content = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 8, "height": 5},
            {"id": 9, "file_name": "val/b.jpg", "width": 8, "height": 5},
            {"id": "c", "file_name": "c.jpg"},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [2, 1, 3, 2], "segmentation": [], "iscrowd": 0},
            {"image_id": 9, "category_id": 18, "bbox": [0, 0, 8, 5], "segmentation": [[0, 0, 4, 0, 0, 4]]},
            {
                "image_id": 9,
                "category_id": 1,
                "bbox": [0, 0, 8, 5],
                "iscrowd": 1,
                "segmentation": {"size": [5, 8], "counts": [35, 5]},
            },
        ],
    }
    return {**content, **more}


def labelme(shapes=None, **more):
    default = [
        {"label": "cat", "points": [[0, 0], [4, 0], [0, 4]], "shape_type": "polygon"},
        {"label": "tag", "points": [[8, 5], [6, 4]], "shape_type": "rectangle"},
        {"label": "eye", "points": [[2, 2]], "shape_type": "point"},
    ]
    shapes = default if shapes is None else shapes
    size = {"imagePath": "..\\images\\a.jpg", "imageHeight": 5, "imageWidth": 8, "imageData": None}
    return {"version": "5.0.1", "flags": {}, "shapes": shapes, **size, **more}


def drawn(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


TRIANGLE = drawn("###.....", "##......", "#.......", "........", "........")


def test_a_box_of_pascal_voc_counts_from_one_and_holds_its_last_pixel(tmp_path):
    found = read_annotations(voc(tmp_path / "a.xml"))
    assert found.labels == ("cat", "tag")
    np.testing.assert_array_equal(
        found.of("cat").mask("a.jpg", (5, 8)),
        drawn("........", "..###...", "..###...", "..###...", "........"),
    )
    np.testing.assert_array_equal(
        found.mask("a.jpg", (5, 8)),
        drawn(".......#", "..###...", "..###...", "..###...", "........"),
    )


def test_cocos_boxes_polygons_and_crowds_are_drawn(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps(coco()))
    found = read_annotations(tmp_path / "instances.json")
    np.testing.assert_array_equal(
        found.mask("a.jpg", (5, 8)),
        drawn("........", "..###...", "..###...", "........", "........"),
    )
    np.testing.assert_array_equal(found.of("dog").mask("b.jpg", (5, 8)), TRIANGLE)
    column = drawn(*[".......#"] * 5)
    np.testing.assert_array_equal(found.mask("cat/b.jpg", (5, 8)), TRIANGLE | column)
    assert not found.mask("c.jpg", (3, 3)).any()  # annotated as holding nothing, in any size


def test_labelmes_shapes_are_drawn_and_points_left_out(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(labelme()))
    found = read_annotations(tmp_path)
    np.testing.assert_array_equal(found.of("cat").mask("a.jpg", (5, 8)), TRIANGLE)
    tag = drawn("........", "........", "........", "........", "......##")
    np.testing.assert_array_equal(found.of("tag").mask("a.jpg", (5, 8)), tag)
    circle = labelme([{"label": "eye", "points": [[4, 2.5], [4, 4]], "shape_type": "circle"}])
    (tmp_path / "a.json").write_text(json.dumps(circle))
    np.testing.assert_array_equal(  # radius 1.5: centres at distances 0.5, 1.5 aside and 0, 1 up
        read_annotations(tmp_path).mask("a.jpg", (5, 8)),
        drawn("........", "...##...", "...##...", "...##...", "........"),
    )


def test_a_file_is_found_by_its_own_name_or_by_the_one_inside(tmp_path):
    found = read_annotations(voc(tmp_path / "000012.xml", name="renamed.png"))
    for name in ("cat/000012.jpg", "renamed.png", "renamed.jpg"):
        assert found.mask(name, (5, 8)).any()


def test_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path):
    voc(tmp_path / "cat" / "0.xml", name="0.png", width=8)
    voc(tmp_path / "dog" / "0.xml", name="0.png", width=9)
    found = read_annotations(tmp_path)
    assert found.mask("cat/0.png", (5, 8)).shape == (5, 8)
    assert found.mask("dog/0.png", (5, 9)).shape == (5, 9)
    with pytest.raises(ValueError, match=r"'0.png' must have one annotation, got 2, in .*cat.*dog"):
        found.mask("0.png", (5, 8))
    with pytest.raises(ValueError, match=r"'fox/0.png' has no annotation among those of 2 pictures"):
        found.mask("fox/0.png", (5, 8))


def test_several_files_and_formats_are_read_together(tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps(coco()))
    found = read_annotations([tmp_path / "instances.json", str(voc(tmp_path / "x.xml", name="x.jpg"))])
    assert len(found.entries) == 4
    assert found.mask("x.jpg", (5, 8)).sum() == 10


def test_a_picture_of_another_size_than_annotated_is_refused(tmp_path):
    found = read_annotations(voc(tmp_path / "a.xml"))
    with pytest.raises(
        ValueError, match=r"'a.jpg' must be 8 x 5 pixels, as '.*a.xml' says, got 5 x 8: it was"
    ):
        found.mask("a.jpg", (8, 5))
    zero = read_annotations(voc(tmp_path / "a.xml", width=0, height=0))  # of tools that do not know it
    assert zero.mask("a.jpg", (8, 5)).any()


def test_a_label_that_does_not_occur_is_refused(tmp_path):
    with pytest.raises(ValueError, match="labels must be among cat, tag, got fox"):
        read_annotations(voc(tmp_path / "a.xml")).of("cat", "fox")


def test_a_region_that_cannot_be_drawn_is_named(tmp_path):
    wrong = coco()
    wrong["annotations"][2]["segmentation"]["counts"] = [1, 2]
    (tmp_path / "a.json").write_text(json.dumps(wrong))
    with pytest.raises(
        ValueError, match=r"a.json', region 'cat' of 'b.jpg': run lengths must .* 5 x 8 pixels"
    ):
        read_annotations(tmp_path).mask("b.jpg", (5, 8))


BOMB = (
    '<!DOCTYPE a [<!ENTITY x0 "ha">'
    + "".join(f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 10))
    + "]><annotation><filename>&x9;</filename></annotation>"
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>'
NESTED = "<annotation>" + "<a>" * 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "DOCTYPE"),
        (OUTSIDE, "DOCTYPE"),
        (NESTED, "nested more than 16 deep"),
        ("", "no element found"),
        ("<annotation>", "no element found"),
        ("<svg></svg>", "outermost element is 'svg'"),
        ("\x00\x01", "not well-formed|invalid"),
        ("<annotation><object><name>cat</name></object></annotation>", "it has no 'bndbox'"),
        (VOC.replace("8.0", "nan"), "must be within 1000000, got nan"),
        (VOC.replace("8.0", "1e300"), r"must be within 1000000, got 1e300"),
        (VOC.replace("8.0", "eight"), "could not convert string to float"),
    ],
)
def test_xml_that_is_no_annotation_is_refused(tmp_path, content, message):
    (tmp_path / "a.xml").write_text(content.replace("{width}", "8").replace("{height}", "5"))
    with pytest.raises(ValueError, match=f"a.xml' must be an annotation of .*{message}"):
        read_annotations(tmp_path / "a.xml")


def changed(**more):
    """COCO's file with one annotation that has these entries."""
    return coco(annotations=[{**coco()["annotations"][0], **more}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 200_000, "nested too deep"),
        ('{"images": [], "annotations": ' + "[" * 200_000, "nested too deep"),
        ("{", "Expecting property name"),
        (b"\xff\xfe\xff", "codec can't decode|Expecting value"),
        ("[]", "neither COCO's lists"),
        ({"images": 3, "annotations": []}, "neither COCO's lists"),
        ({"images": [3], "annotations": []}, "not subscriptable"),
        ("1" * 10_000, "a whole number has 10000 digits"),
        ('{"shapes": [NaN]}', "NaN is no number of JSON"),
        (changed(bbox=[0, 0, 1]), "not enough values"),
        (changed(bbox=[0, 0, 1, True]), "a coordinate must be a number, got 'True'"),
        (changed(bbox=[0, 0, 1, 1e9]), "must be within 1000000"),
        (changed(bbox="0123", image_id=[7]), "an id must be a whole number or a string"),
        (changed(image_id=8), "an annotation is of image 8, which is not among its images"),
        (changed(segmentation=[[0, 0, 1, 1]]), "three corners or more, got 4 numbers"),
        (changed(segmentation={"counts": "Pb4", "size": [5, 8]}), "compressed run lengths"),
        (coco(images=coco()["images"][:1] * 2), "two of its images have the id 7"),
        (labelme([{"label": "a", "points": [[0, 0], [1, 1]], "shape_type": "mask"}]), "a shape is a 'mask'"),
        (labelme([{"label": "a", "points": [[0, 0]], "shape_type": "rectangle"}]), "must have two corners"),
        (labelme([{"points": [[0, 0]] * 3}]), "it has no 'label'"),
        (labelme(["cat"]), "no attribute 'get'"),
    ],
)
def test_json_that_is_no_annotation_is_refused(tmp_path, content, message):
    content = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (tmp_path / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=f"a.json' must be an annotation of .*({message})"):
        read_annotations(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = voc(tmp_path / "a.xml")
    monkeypatch.setattr(annotation_files, "MAX_XML", path.stat().st_size)
    read_annotations(path)
    monkeypatch.setattr(annotation_files, "MAX_XML", path.stat().st_size - 1)
    with pytest.raises(ValueError, match=r"a.xml' must be at most 0 MiB, but is larger; split it"):
        read_annotations(path)


def test_what_is_not_there_or_holds_nothing_is_refused(tmp_path):
    with pytest.raises(OSError, match="a.xml"):
        read_annotations(tmp_path / "a.xml")
    with pytest.raises(ValueError, match=r"must hold annotations, got no file ending in .xml or .json"):
        read_annotations(tmp_path)
